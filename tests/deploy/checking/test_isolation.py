"""What is taken from a process is taken, and where the machine forbids it that is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# A child says what it may do: whether it writes where nobody may, and reaches another address than its own.
TRIES = """
import os, socket, sys
def tried(attempt):
    try:
        attempt()
        return "yes"
    except OSError as error:
        return "unreachable" if error.errno == 101 else type(error).__name__
reads, writes = sys.argv[-2:]
with socket.create_server(("127.0.0.1", 0)) as own:
    loopback = tried(lambda: socket.create_connection(own.getsockname(), 5).close())
print("may write to the model:", tried(lambda: open(reads + "/new", "w").close()))
print("may write to its home:", tried(lambda: open(writes + "/new", "w").close()))
print("reaches itself:", loopback)
probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
print("reaches others:", tried(lambda: probe.connect(("192.0.2.1", 9))))
print("is root:", os.getuid() == 0, flush=True)
"""
ISOLATE = f"""
import encodings.idna, os, socket, sys
from pathlib import Path
from deploy.checking import isolation
tries, (forbidden, network, reads, writes) = {TRIES!r}, sys.argv[1:]
def forbid(flags):
    if flags:
        raise PermissionError
if forbidden == "forbidden":
    isolation._enter = forbid
taken = isolation.isolate(network == "network", [Path(reads)], Path(writes))
pid = os.fork()
if not pid and taken.becomes is None:
    os.execv(sys.executable, [sys.executable, "-c", tries, reads, writes])
if not pid:  # whoever it becomes may not reach this Python
    isolation.become(taken.becomes)
    exec(tries)
    os._exit(0)
os.waitpid(pid, 0)
print("offline:", taken.offline)
print("ordinary:", taken.ordinary)
"""


@pytest.fixture
def folders() -> Iterator[tuple[Path, Path]]:
    """A model that nobody may write to, and a home, both where everybody may go."""
    place = Path(tempfile.mkdtemp())
    model, home = place / "model", place / "home"
    model.mkdir()
    home.mkdir()
    place.chmod(0o755)
    model.chmod(0o555)
    yield model, home
    model.chmod(0o755)
    shutil.rmtree(place)


def isolated(folders: tuple[Path, Path], *words: str) -> dict[str, str]:
    """What was taken, and what a child may do then."""
    command = [sys.executable, "-c", ISOLATE, *words, *map(str, folders)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    return dict(line.split(": ") for line in done.stdout.splitlines())


@pytest.mark.usefixtures("needs_isolation")
def test_a_container_has_its_home_and_itself_and_nothing_else(folders):
    assert isolated(folders, "allowed", "alone") == {
        "may write to the model": "PermissionError",
        "may write to its home": "yes",
        "reaches itself": "yes",
        "reaches others": "unreachable",
        "is root": "False",
        "offline": "True",
        "ordinary": "True",
    }


@pytest.mark.usefixtures("needs_isolation")
def test_one_that_needs_the_network_keeps_it_and_is_no_root_either(folders):
    found = isolated(folders, "allowed", "network")
    assert (found["offline"], found["ordinary"], found["is root"]) == ("False", "True", "False")
    assert found["may write to the model"] == "PermissionError"


def test_where_the_machine_forbids_it_root_becomes_nobody(folders):
    found = isolated(folders, "forbidden", "alone")
    assert (found["offline"], found["ordinary"], found["is root"]) == ("False", "True", "False")
    assert found["may write to the model"] == "PermissionError"
    assert found["may write to its home"] == "yes"


@pytest.mark.skipif(os.geteuid() != 0, reason="who is not root has nothing to give up")
def test_where_nobody_cannot_reach_the_files_root_stays_and_says_so(folders):
    model, _ = folders
    model.parent.chmod(0o700)
    found = isolated(folders, "forbidden", "alone")
    assert (found["ordinary"], found["is root"]) == ("False", "True")
