"""Ctrl-C at any moment of a deploy, then the same command again: it converges and nothing is orphaned."""

import re
import signal
from typing import Any

import pytest

Session = Any  # boto3 makes its classes as it goes
CHANGES = {
    "PutObject",
    "CreateModel",
    "CreateEndpointConfig",
    "AddTags",
    "UpdateEndpoint",
    "DeleteEndpointConfig",
    "DeleteModel",
    "DeleteObject",
}


def stop_after(session: Session, call: int) -> list[str]:
    """Press Ctrl-C as soon as that many calls of the API have been answered; returns the calls made."""
    calls: list[str] = []

    def count(model: Any, **_: Any) -> None:
        # A wait asks the same thing again and again: one moment of it stands for all.
        if calls[-1:] == [model.name]:
            return
        calls.append(model.name)
        if len(calls) == call:
            calls.append("stopped")
            signal.raise_signal(signal.SIGINT)

    session.events.register("after-call", count)
    return calls


@pytest.mark.timeout(300)
def test_stopped_after_any_call_the_same_command_again_converges(iris, deploy, held, asked, weighed, fresh):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("[aws]", "keep_versions = 0\n\n[aws]"))
    undisturbed = {}
    for factor in (2, 3):
        assert deploy(weighed(iris, factor)) == 0
        undisturbed[factor] = held("iris")
    call, factor, ended = 0, 2, False
    while not ended:
        call += 1
        calls = stop_after(fresh(), call)
        ended = deploy(weighed(iris, factor)) == 0
        assert ended == ("stopped" not in calls)
        fresh()
        if not ended and not CHANGES & set(calls):
            # Nothing was changed yet: a stop at the next call comes to the same as running again.
            assert held("iris") == undisturbed[5 - factor], f"after {calls}"
            continue
        assert deploy(iris) == 0
        assert held("iris") == undisturbed[factor], f"after {calls}"
        assert asked("iris") == str(factor)
        factor = 5 - factor
    assert set(calls) >= CHANGES


@pytest.mark.parametrize("operation", ["PutObject", "CreateModel", "CreateEndpointConfig", "CreateEndpoint"])
def test_a_first_deploy_stopped_after_a_change_converges(iris, deploy, held, fresh, capsys, operation):
    fresh().events.register(f"after-call.*.{operation}", lambda **_: signal.raise_signal(signal.SIGINT))
    assert deploy(iris) == 130
    assert "the same command again converges" in capsys.readouterr().err
    fresh()
    assert deploy(iris) == 0
    assert len(held("iris")) == 4


def test_a_rollback_that_was_stopped_says_what_to_ask_for(iris, deploy, asked, weighed, fresh, capsys):
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    fresh().events.register("after-call.*.UpdateEndpoint", lambda **_: signal.raise_signal(signal.SIGINT))
    assert deploy(iris, "rollback") == 130
    said = re.search(r"`rollback` to (iris-[0-9a-f]{12}) ", capsys.readouterr().err)
    assert said
    fresh()
    assert deploy(iris, "rollback", "--to", said[1]) == 0
    assert asked("iris") == "3"
