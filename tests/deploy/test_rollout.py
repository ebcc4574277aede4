"""Changes that fail or are refused: what was made for them is taken back, and the reason told."""

import importlib
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config as ClientConfig

from deploy import config, package, rollout
from deploy.aws import clients
from deploy.plan import Change, Resource
from deploy.target import CloudError, NotServed, Refused

BROKEN = """\
class Handler:
    def load(self, model_dir):
        raise RuntimeError("the weights are of another model")

    def predict(self, inputs):
        return inputs
"""
# What a person gets told of the same thing.
UNHEALTHY = {"aws": "did not pass the ping health check", "gcp": "it still serves iris-"}
MISSING = {"aws": "create it in account 123456789012", "gcp": "create it in project slipway-tests"}
OF_OTHERS = {"aws": "belongs to another account than", "gcp": "is not one of project slipway-tests"}
LOG_IN = {
    "aws": "error: no AWS credentials were found: log in with `aws configure sso`",
    "gcp": "error: no Google credentials were found: log in with `gcloud auth application-default login`",
}
REFUSED = {
    401: {
        "aws": "the AWS credentials were not accepted (ExpiredTokenException: no)",
        "gcp": "the Google credentials were not accepted (",
    },
    403: {
        "aws": "no (AccessDeniedException): whoever runs this needs that permission",
        "gcp": "no (403): look at [gcp] project and region in deploy.toml; whoever runs this needs that",
    },
    429: {
        "aws": "AWS is asked too often (ThrottlingException, tried 2 times)",
        "gcp": "no (429): ask for more quota, or give the same command again in a minute",
    },
    500: {"aws": "no (InternalFailure, tried 2 times)", "gcp": "no (500)"},
}
MAKES_A_MODEL = {"aws": "CreateModel", "gcp": "POST models:upload"}
DELETES_A_MODEL = {"aws": "DeleteModel", "gcp": "DELETE models"}
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def edited(place, old, new):
    text = (place / "deploy.toml").read_text()
    assert old in text
    (place / "deploy.toml").write_text(text.replace(old, new))


def test_a_version_that_fails_leaves_the_old_one_serving_and_shows_the_traceback(
    cloud, iris, deploy, held, asked, capsys
):
    """Row 27 of the faults, on both clouds."""
    assert deploy(iris) == 0
    before = held(iris)
    (iris / "inference/handler.py").write_text(BROKEN)
    capsys.readouterr()
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert "the container printed:" in told
    assert "RuntimeError: the weights are of another model" in told
    assert 'raise RuntimeError("the weights are of another model")' in told
    assert UNHEALTHY[cloud.name] in told.splitlines()[-1]
    assert held(iris) == before
    assert asked(iris) == 2


def test_a_first_version_that_fails_leaves_nothing_but_its_log(iris, deploy, held, capsys):
    (iris / "inference/handler.py").write_text(BROKEN)
    assert deploy(iris) == 1
    assert "RuntimeError: the weights are of another model" in capsys.readouterr().err
    assert held(iris) == set()
    assert deploy(iris, "logs") == 0
    assert "RuntimeError" in capsys.readouterr().out


def test_an_endpoint_that_was_left_without_a_version_gets_one(cloud, iris, deploy, held, asked):
    (iris / "inference/handler.py").write_text(BROKEN)
    target, settings = importlib.import_module(f"deploy.{cloud.name}"), config.load(iris)
    built = package.build(iris / "build/model", iris / "inference", iris / "build/model.tar.gz")
    *before, endpoint = target.desired(settings, built)
    for resource in before:
        target.apply(settings, Change("create", resource), lambda state: None)
    with pytest.raises(NotServed):
        target.apply(settings, Change("create", endpoint), lambda state: None)
    assert "endpoint iris" in held(iris)
    (iris / "inference/handler.py").write_text(BROKEN.replace("raise RuntimeError", "str"))
    assert deploy(iris) == 0
    assert asked(iris) == 1
    assert len(held(iris)) == len(cloud.kinds)


@pytest.mark.parametrize("status", REFUSED)
def test_an_error_half_way_is_told_and_what_was_made_is_taken_back(
    cloud, iris, deploy, held, capsys, monkeypatch, status
):
    twice = ClientConfig(retries={"mode": "adaptive", "total_max_attempts": 2})
    monkeypatch.setattr(clients, "SETTINGS", clients.SETTINGS.merge(twice))
    cloud.refuse(MAKES_A_MODEL[cloud.name], status)
    assert deploy(iris) == 1
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: ") and REFUSED[status][cloud.name] in last
    assert held(iris) == set()


@pytest.mark.parametrize(
    ("cloud_name", "operation"),
    [
        *[("aws", name) for name in ("PutObject", "CreateModel", "CreateEndpointConfig", "CreateEndpoint")],
        *[("gcp", name) for name in ("POST objects", "POST models:upload", "POST endpoints")],
        ("gcp", "POST endpoints:deployModel"),
    ],
)
def test_a_first_deploy_of_which_any_change_is_refused_leaves_nothing(cloud, iris, deploy, held, operation):
    cloud.refuse(operation, 403)
    assert deploy(iris) == 1
    assert held(iris) == set()


def test_a_destroy_that_left_something_is_no_success(cloud, iris, deploy, held, capsys):
    assert deploy(iris) == 0
    cloud.ignore(DELETES_A_MODEL[cloud.name])
    assert deploy(iris, "destroy", "--yes") == 1
    (left,) = held(iris)
    assert left.startswith("model iris-")
    assert f"still there: {left}; give the same command again" in capsys.readouterr().err


def test_a_bucket_that_is_not_there_is_refused_before_anything_is_made(cloud, iris, deploy, held, capsys):
    edited(iris, f'bucket = "{cloud.bucket}"', 'bucket = "slipway-nowhere"')
    assert deploy(iris) == 1
    assert capsys.readouterr().err == (
        f"error: deploy.toml: [{cloud.name}]: bucket 'slipway-nowhere' is not there: {MISSING[cloud.name]}, "
        "or name another\n"
    )
    assert held(iris) == set()
    assert not (iris / "build/model.tar.gz").exists()


@pytest.mark.parametrize("verb", ["deploy-endpoint", "plan"])
def test_a_bucket_of_somebody_else_is_refused_before_anything_is_made(
    cloud, project, deploy, held, capsys, verb
):
    """Row 28 of the faults: a foreign bucket."""
    place = project("iris")
    edited(place, f'bucket = "{cloud.bucket}"', f'bucket = "{cloud.bucket_of_others}"')
    assert deploy(place, verb) == 1
    assert f"bucket {cloud.bucket_of_others!r} {OF_OTHERS[cloud.name]}" in capsys.readouterr().err
    assert held(place) == set()


def test_without_credentials_one_sentence_says_how_to_get_them(cloud, project, deploy, capsys, monkeypatch):
    """Row 28 of the faults: none."""
    cloud.without_credentials(monkeypatch)
    assert deploy(project("iris")) == 1
    told = capsys.readouterr().err
    assert told.startswith(LOG_IN[cloud.name])
    assert len(told.splitlines()) == 1


def test_what_is_taken_back_is_what_surely_nothing_needs():
    config_made = Change("create", Resource("endpoint_config", "new"))
    model_failed = Change("create", Resource("model", "new"))
    failed = Change("create", Resource("endpoint", "iris", "new"))
    sweep = Change("delete", Resource("model", "old"))
    assert rollout.made_in_vain([config_made], failed, NotServed("", SINCE)) == [config_made, failed]
    assert rollout.made_in_vain([config_made], failed, Refused("")) == [config_made]
    assert rollout.made_in_vain([config_made], failed, CloudError("")) == []
    assert rollout.made_in_vain([config_made], model_failed, CloudError("")) == [config_made, model_failed]
    assert rollout.made_in_vain([config_made], sweep, Refused("")) == []


def test_a_stop_while_it_is_taken_back_is_told_and_the_reason_is_not_lost(capsys):
    class Stopping:
        def apply(self, config: Any, change: Change, say: Any, watch: Any) -> None:
            if change.action == "delete":
                raise KeyboardInterrupt
            if change.resource.kind == "endpoint_config":
                raise Refused("no more of these")

    wanted = [Change("create", Resource("model", "m")), Change("create", Resource("endpoint_config", "c"))]
    with pytest.raises((Refused, KeyboardInterrupt)) as ended:
        rollout.make(rollout.Place(Stopping(), None), wanted)
    assert str(ended.value) == "no more of these"
    assert "not all of it could be taken back (stopped); the next deploy" in capsys.readouterr().err
