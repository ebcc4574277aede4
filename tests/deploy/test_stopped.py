"""Ctrl-C at any moment of a deploy, then the same command again: it converges and nothing is orphaned."""

import re
import signal

import pytest

# Ctrl-C may come between a socket's making and its having an owner: Python's collector closes that one.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
# The calls that change something, all of which a second deploy makes when no version is kept.
CHANGES = {
    "aws": {
        "PutObject",
        "CreateModel",
        "CreateEndpointConfig",
        "AddTags",
        "UpdateEndpoint",
        "DeleteEndpointConfig",
        "DeleteModel",
        "DeleteObject",
    },
    "gcp": {
        "POST objects",
        "POST models:upload",
        "PATCH models",
        "POST endpoints:deployModel",
        "POST endpoints:undeployModel",
        "DELETE models",
        "DELETE objects",
    },
}
FIRST = [
    ("aws", "PutObject"),
    ("aws", "CreateModel"),
    ("aws", "CreateEndpointConfig"),
    ("aws", "CreateEndpoint"),
    ("gcp", "POST objects"),
    ("gcp", "POST models:upload"),
    ("gcp", "POST endpoints"),
    ("gcp", "POST endpoints:deployModel"),
]
DELETION = "Delete|DELETE|POST endpoints:undeploy"
MOVES = {"aws": "UpdateEndpoint", "gcp": "POST endpoints:deployModel"}


def stop_after(cloud, call, only=""):
    """Press Ctrl-C as soon as that many calls of the API have been answered; returns the calls made.

    `only` is a regular expression for those that count.
    """
    calls = []

    def count(operation):
        # A wait asks the same thing again and again: one moment of it stands for all.
        if calls[-1:] == [operation] or not re.match(only, operation):
            return
        calls.append(operation)
        if len(calls) == call:
            calls.append("stopped")
            signal.raise_signal(signal.SIGINT)

    cloud.forget()
    cloud.on_call(count)
    return calls


def stop_at(cloud, wanted, time=1):
    """Press Ctrl-C when that operation was answered for the first, or another, time."""
    answered = []

    def count(operation):
        if operation == wanted:
            answered.append(operation)
            if len(answered) == time:
                signal.raise_signal(signal.SIGINT)

    cloud.on_call(count)


@pytest.mark.timeout(600)
def test_stopped_after_any_call_the_same_command_again_converges(cloud, iris, deploy, held, asked, weighed):
    """Row 24 of the faults, after every change."""
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace('name = "iris"\n', 'name = "iris"\nkeep_versions = 0\n'))
    undisturbed = {}
    for factor in (2, 3):
        assert deploy(weighed(iris, factor)) == 0
        undisturbed[factor] = held(iris)
    call, factor, ended = 0, 2, False
    while not ended:
        call += 1
        calls = stop_after(cloud, call)
        ended = deploy(weighed(iris, factor)) == 0
        assert ended == ("stopped" not in calls)
        cloud.forget()
        if not ended and not CHANGES[cloud.name] & set(calls):
            # Nothing was changed yet: a stop at the next call comes to the same as running again.
            assert held(iris) == undisturbed[5 - factor], f"after {calls}"
            continue
        assert deploy(iris) == 0
        assert held(iris) == undisturbed[factor], f"after {calls}"
        assert asked(iris) == factor
        factor = 5 - factor
    assert set(calls) >= CHANGES[cloud.name]


@pytest.mark.parametrize(("cloud_name", "operation"), FIRST)
def test_a_first_deploy_stopped_after_a_change_converges(cloud, iris, deploy, held, capsys, operation):
    """Row 24 of the faults, where there was nothing before."""
    # The first object is the lock, the second the archive.
    stop_at(cloud, operation, time=2 if operation in ("PutObject", "POST objects") else 1)
    assert deploy(iris) == 130
    assert "the same command again converges" in capsys.readouterr().err
    cloud.forget()
    assert deploy(iris) == 0
    assert len(held(iris)) == len(cloud.kinds)


def test_a_rollback_that_was_stopped_says_what_to_ask_for(cloud, iris, deploy, asked, weighed, capsys):
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    stop_at(cloud, MOVES[cloud.name])
    assert deploy(iris, "rollback") == 130
    said = re.search(r"`rollback` to (iris-[0-9a-f]{12}) ", capsys.readouterr().err)
    assert said
    cloud.forget()
    assert deploy(iris, "rollback", "--to", said[1]) == 0
    assert asked(iris) == 3


def test_a_destroy_that_was_stopped_after_any_deletion_goes_on_from_there(cloud, iris, deploy, held):
    deletion, ended = 0, False
    while not ended:
        deletion += 1
        assert deploy(iris) == 0
        calls = stop_after(cloud, deletion, only=DELETION)
        ended = deploy(iris, "destroy", "--yes") == 0
        assert ended == ("stopped" not in calls)
        cloud.forget()
        assert deploy(iris, "destroy", "--yes") == 0
        assert held(iris) == set(), f"after {calls}"
    assert len(calls) > len(cloud.kinds) - 1
