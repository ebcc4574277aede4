"""A cloud that fails at any one call: told in a sentence, and the same command again puts all right."""

import pytest
from botocore.config import Config as ClientConfig
from botocore.retries import standard

from deploy.aws import clients as aws_clients
from deploy.gcp import clients as gcp_clients

# What a first deploy alone calls.
LEFT_OUT = {"CreateEndpoint", "POST endpoints"}
# Whose failure costs the command nothing: the lock is read and removed at the end, and else goes by itself.
HARMLESS = {"GetObject", "DeleteObject", "DELETE objects"}


@pytest.fixture(autouse=True)
def _soon_given_up(monkeypatch):
    """What would be tried for minutes is tried twice."""
    twice = ClientConfig(retries={"mode": "standard", "total_max_attempts": 2})
    monkeypatch.setattr(aws_clients, "SETTINGS", aws_clients.SETTINGS.merge(twice))
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.0)
    for bound in ("READ", "STORED"):
        monkeypatch.setattr(gcp_clients, bound, getattr(gcp_clients, bound).with_timeout(0.5))


@pytest.mark.timeout(400)
def test_whatever_call_fails_it_is_told_and_the_same_command_again_converges(
    cloud, iris, deploy, held, asked, weighed, capsys, calls
):
    """Row 26 of the faults."""
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    count = len(held(iris))
    for number, operation in enumerate(sorted(calls.keys() - LEFT_OUT), start=5):
        weighed(iris, number)
        cloud.forget()
        cloud.refuse(operation, 500)
        capsys.readouterr()
        failed = deploy(iris)
        told = capsys.readouterr().err
        assert failed or operation in HARMLESS, f"{operation}: nobody saw it"
        assert "Traceback" not in told
        assert not failed or told.splitlines()[-1].startswith("error: "), f"{operation}: {told}"
        cloud.forget()
        assert deploy(iris) == 0, operation
        assert asked(iris) == number
        assert len(held(iris)) == count, operation
