"""The local cloud in the background: one for a home, whole again after kill -9, gone when told."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from waiting import is_alive, until

ROOT = Path(__file__).parents[3]
Local = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def local(home: Path) -> Iterator[Local]:
    """One command of a local cloud of this test's own, which is stopped at the end."""

    def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
        clean = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))
        }
        own = {"SLIPWAY_LOCAL_HOME": str(home), "SLIPWAY_LOCAL_PORT": "0", **settings}
        command = [sys.executable, "-m", "infra.local", *words]
        return subprocess.run(
            command, env={**clean, **own}, cwd=ROOT, capture_output=True, text=True, timeout=90
        )

    yield run
    run("down")


def state(home: Path) -> dict[str, object]:
    return json.loads((home / "state.json").read_text())


def answers(port: object) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", int(str(port))), 1):
        return True
    return False


def test_no_other_user_can_look_into_its_home(local: Local, home: Path) -> None:
    assert local("up").returncode == 0
    assert home.stat().st_mode & 0o777 == 0o700


def test_up_starts_it_and_a_second_up_finds_it(local: Local, home: Path) -> None:
    first = local("up")
    assert (first.returncode, first.stderr) == (0, f"starting the local cloud (log: {home}/cloud.log) …\n")
    running = state(home)
    assert first.stdout == f"the local cloud is at http://127.0.0.1:{running['port']}\n"
    second = local("up")
    assert (second.stdout, second.stderr) == (first.stdout, "")
    assert state(home) == running


def test_ups_at_the_same_time_start_one(local: Local, home: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        done = list(threads.map(lambda _: local("up"), range(4)))
    assert [each.returncode for each in done] == [0, 0, 0, 0]
    assert len({each.stdout for each in done}) == 1


def test_down_stops_it_and_is_harmless_without_it(local: Local, home: Path) -> None:
    local("up")
    running = state(home)
    assert local("down").stdout == "the local cloud is stopped\n"
    assert not is_alive(running["pid"])
    assert not answers(running["port"])
    again = local("down")
    assert (again.returncode, again.stdout) == (0, "no local cloud is running\n")


def test_killed_with_9_it_is_whole_again_at_the_next_up(local: Local, home: Path) -> None:
    local("up")
    killed = state(home)
    stale = home / "containers" / "i-0"
    stale.mkdir()
    os.kill(int(str(killed["pid"])), signal.SIGKILL)
    until(lambda: not is_alive(killed["pid"]), 10)
    assert local("status").stdout == "no local cloud is running\n"
    assert local("up").returncode == 0
    assert state(home)["pid"] != killed["pid"]
    assert answers(state(home)["port"])
    assert not stale.exists()


def test_another_process_with_its_number_is_not_taken_for_it(local: Local, home: Path) -> None:
    home.mkdir()
    with subprocess.Popen(["/bin/sleep", "60"]) as innocent:
        (home / "state.json").write_text(json.dumps({"pid": innocent.pid, "started": "1", "port": 1}))
        assert local("status").stdout == "no local cloud is running\n"
        assert local("down").stdout == "no local cloud is running\n"
        assert innocent.poll() is None
        innocent.kill()


def test_a_state_file_cut_short_is_no_obstacle(local: Local, home: Path) -> None:
    home.mkdir()
    (home / "state.json").write_text('{"pid": 12')
    assert local("up").returncode == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(local: Local, home: Path, number: signal.Signals) -> None:
    local("up")
    pid = int(str(state(home)["pid"]))
    os.kill(pid, number)
    until(lambda: not is_alive(pid), 10)
    assert not (home / "state.json").exists()
    assert (home / "cloud.log").read_text().rstrip().endswith("stopped")


def test_it_is_not_of_the_terminals_session(local: Local, home: Path) -> None:
    local("up")
    pid = int(str(state(home)["pid"]))
    assert os.getsid(pid) == pid


def test_it_listens_on_this_machine_alone(local: Local, home: Path) -> None:
    local("up")
    wanted = f"{int(str(state(home)['port'])):04X}"
    sockets = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/net/{table}").read_text().splitlines()
    ]
    listening = [
        columns[1] for columns in sockets if columns[3] == "0A" and columns[1].endswith(f":{wanted}")
    ]
    assert listening == [f"0100007F:{wanted}"]


def test_a_taken_port_is_told_with_who_has_it_and_what_to_do(local: Local) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = local("up", SLIPWAY_LOCAL_PORT=str(port))
    assert done.returncode == 1
    error = done.stderr.splitlines()[-1]
    assert error.startswith(
        f"error: the local cloud did not start: port {port} of 127.0.0.1 is taken by process {os.getpid()} ("
    )
    assert error.endswith("stop it, or set SLIPWAY_LOCAL_PORT to another port (0 takes any free one)")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PORT", "http", "error: SLIPWAY_LOCAL_PORT='http': expected a whole number, 0 or more"),
        ("STOP_GRACE_S", "-1", "error: SLIPWAY_LOCAL_STOP_GRACE_S='-1': expected seconds, 0 or more"),
        ("ACCOUNT_ID", "12", "error: SLIPWAY_LOCAL_ACCOUNT_ID='12': expected 12 digits"),
        (
            "PROT",
            "1",
            "error: SLIPWAY_LOCAL_PROT: no such setting, expected one of SLIPWAY_LOCAL_ACCOUNT_ID, ",
        ),
    ],
)
def test_a_bad_setting_is_told_by_name_and_value(local: Local, name: str, value: str, message: str) -> None:
    done = local("up", **{f"SLIPWAY_LOCAL_{name}": value})
    assert done.returncode == 1
    assert done.stderr.startswith(message)


def test_a_home_that_cannot_be_written_is_told(local: Local, home: Path) -> None:
    home.write_text("a file")
    done = local("up")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith(f"error: cannot start the local cloud in {home}: ")


def test_a_start_that_fails_says_why(local: Local, home: Path) -> None:
    (home / "objects").parent.mkdir()
    (home / "objects").write_text("a file where a folder must be")
    done = local("up")
    assert done.returncode == 1
    assert "File exists" in done.stderr


def test_a_start_whose_starter_was_killed_is_joined(local: Local, home: Path) -> None:
    environment = {**os.environ, "SLIPWAY_LOCAL_HOME": str(home), "SLIPWAY_LOCAL_PORT": "0"}
    with subprocess.Popen([sys.executable, "-m", "infra.local", "up"], env=environment, cwd=ROOT) as starter:
        until((home / "running.lock").exists, 10)
        starter.kill()
    done = local("up")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"the local cloud is at http://127.0.0.1:{state(home)['port']}\n"
    assert f"ready at http://127.0.0.1:{state(home)['port']}" in (home / "cloud.log").read_text()


def test_a_disk_that_is_full_is_told_with_the_file(local: Local, home: Path) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SLIPWAY_"))}
    environment = {**clean, "SLIPWAY_LOCAL_HOME": str(home), "SLIPWAY_LOCAL_PORT": "0"}
    command = f"ulimit -f 0; exec {sys.executable} -m infra.local up"
    done = subprocess.run(
        ["/bin/sh", "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 1
    expected = f"error: the local cloud did not start: cannot write {home}/state.json: File too large"
    assert done.stderr.splitlines()[-1] == expected
    assert local("status").stdout == "no local cloud is running\n"


def test_one_that_stops_is_waited_for_and_another_takes_its_place(local: Local, home: Path) -> None:
    assert local("up").returncode == 0
    old = state(home)
    with socket.create_connection(("127.0.0.1", int(str(old["port"])))) as waiting:
        # A request of which the end never comes keeps it from stopping at once.
        head = f"POST / HTTP/1.1\r\nHost: 127.0.0.1:{old['port']}\r\nContent-Length: 9\r\n\r\n"
        waiting.sendall(head.encode())
        time.sleep(0.1)
        os.kill(int(str(old["pid"])), signal.SIGTERM)
        done = local("up")
    assert done.returncode == 0, done.stderr
    assert not is_alive(old["pid"])
    assert is_alive(state(home)["pid"])
