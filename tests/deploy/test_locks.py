"""Two commands at once: one changes the deployment, the other changes nothing and says who is at it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
from waiting import until

from deploy import config, locks
from deploy.verbs.run import Run

# A process that has ended, whose number nobody has had since: the highest that Linux gives by itself is less.
NOBODY = 2**22 - 1


def lock_of(cloud, name="iris"):
    (uri,) = cloud.storage.list(cloud.uri(f"{name}/lock.json"))
    return json.loads(cloud.storage.get(uri))


def write(cloud, **given):
    """The lock of somebody else, on this machine unless it is said."""
    moment = datetime.now(UTC)
    lock = {
        "token": "of somebody else",
        "verb": "deploy-endpoint",
        "who": "ann",
        "host": socket.gethostname(),
        "pid": os.getppid(),
        "since": moment.isoformat(),
        "until": (moment + timedelta(minutes=2)).isoformat(),
        **given,
    }
    cloud.storage.put(cloud.uri("iris/lock.json"), json.dumps(lock))


@pytest.fixture
def run(cloud, iris):
    return Run(iris, config.load(iris), cloud.name, yes=True, live=False)


@pytest.fixture(autouse=True)
def _unlocked(cloud, iris):
    yield
    cloud.forget()
    cloud.storage.remove(cloud.uri("iris/lock.json"))


@pytest.mark.parametrize("verb", ["deploy-endpoint", "rollback", "destroy"])
def test_while_somebody_changes_it_another_command_changes_nothing(
    cloud, iris, deploy, held, weighed, capsys, verb
):
    """Row 25 of the faults."""
    for factor in (2, 3):
        assert deploy(weighed(iris, factor)) == 0
    write(cloud, who="ann", host="ann-s-laptop", pid=77)
    before = held(iris)
    weighed(iris, 4)
    assert deploy(iris, verb, "--yes") == 1
    said = capsys.readouterr().err
    assert "ann on ann-s-laptop is changing 'iris' (`deploy-endpoint`, since" in said
    assert "process 77): nothing was changed" in said
    assert held(iris) == before
    assert lock_of(cloud)["who"] == "ann"


@pytest.mark.parametrize(
    "gone",
    [
        {"pid": NOBODY},
        {"host": "another", "until": (datetime.now(UTC) - timedelta(seconds=1)).isoformat()},
    ],
    ids=["its process has ended", "it was not renewed"],
)
def test_the_lock_of_a_command_that_is_no_more_is_taken_over(cloud, iris, deploy, gone):
    write(cloud, **gone)
    assert deploy(iris) == 0
    assert cloud.storage.list(cloud.uri("iris/lock.json")) == []


def test_what_is_no_lock_locks_nothing_for_ever(cloud, iris, deploy):
    cloud.storage.put(cloud.uri("iris/lock.json"), "not a lock")
    assert deploy(iris) == 0


def test_of_many_at_once_one_gets_it(run):
    got, refused, start = [], [], threading.Barrier(6)

    def take():
        start.wait()
        try:
            with run.locked("deploy-endpoint"):
                got.append(1)
                until(lambda: len(got) + len(refused) == 6, 20)
        except locks.LockError:
            refused.append(1)

    threads = [threading.Thread(target=take) for _ in range(6)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert (len(got), len(refused)) == (1, 5)


def test_it_is_renewed_while_it_is_held_and_gone_after(cloud, run, monkeypatch):
    monkeypatch.setattr(locks, "RENEW_S", 0.05)
    with run.locked("rollback"):
        first = lock_of(cloud)
        assert (first["verb"], first["pid"], first["host"]) == ("rollback", os.getpid(), socket.gethostname())
        until(lambda: lock_of(cloud)["until"] > first["until"], 10)
    assert cloud.storage.list(cloud.uri("iris/lock.json")) == []


def test_who_loses_it_is_told_and_leaves_the_other_s_alone(cloud, run, monkeypatch, capsys):
    monkeypatch.setattr(locks, "RENEW_S", 0.05)
    with run.locked("rollback"):
        write(cloud, who="bob")
        until(lambda: "has taken this one's lock" in capsys.readouterr().err, 10)
    assert lock_of(cloud)["who"] == "bob"


class Twice:
    """A store whose first answer got lost: the SDK has written again, over what it had written itself."""

    def __init__(self):
        self.body, self.removed = b"", False

    def write(self, settings, body, over):
        self.body = body

    def read(self, settings):
        return self.body, "of the first time"

    def remove(self, settings):
        self.removed = True


def test_an_answer_that_got_lost_does_not_lock_out_its_own_command(run):
    store = Twice()
    with locks.held(store, run.config, "rollback"):
        assert not store.removed
    assert store.removed


def test_a_stop_while_it_is_taken_leaves_none(cloud, run):
    wanted = {"aws": "PutObject", "gcp": "POST objects"}[cloud.name]
    cloud.on_call(lambda operation: operation == wanted and signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt), run.locked("rollback"):
        pytest.fail("it was stopped before")
    assert cloud.storage.list(cloud.uri("iris/lock.json")) == []


def test_two_deploys_at_once_are_one_deploy_and_one_refusal(cloud, iris, held):
    command = [
        sys.executable,
        "-m",
        "deploy",
        "deploy-endpoint",
        "--project",
        str(iris),
        "--cloud",
        cloud.name,
    ]
    at_once = {"env": cloud.local.shell, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    both = [subprocess.Popen(command, **at_once) for _ in range(2)]
    said = [process.communicate(timeout=100)[0] for process in both]
    statuses = [process.returncode for process in both]
    if statuses != [0, 0]:  # else the first had ended before the second looked
        refused = said[0] if statuses[0] else said[1]
        assert sorted(statuses) == [0, 1] and "nothing was changed" in refused, said
    assert len(held(iris)) == len(cloud.kinds)
