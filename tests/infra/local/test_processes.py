"""A container's command as a process: its output, its end, and the end of all it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from waiting import is_alive, until

from infra.local.processes import LINE_BYTES, Command, Process, start

ROOT = Path(__file__).parents[3]
PATH = {"PATH": os.environ["PATH"]}
Start = Callable[..., tuple[Process, list[str]]]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Start]:
    """Starts a command; whatever runs at the end is stopped."""
    running = []

    def begin(*argv: str, env: dict[str, str] = PATH) -> tuple[Process, list[str]]:
        lines: list[str] = []
        running.append(start(Command(argv, env, tmp_path, "test"), lines.append))
        return running[-1], lines

    yield begin
    for process in running:
        process.stop(0)


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", code)


def test_every_line_has_arrived_when_the_end_is_known(run: Start) -> None:
    process, lines = run(*python("for n in range(2000): print(n)"))
    assert process.wait(20) == 0
    assert lines == [str(number) for number in range(2000)]


def test_output_without_a_last_newline_is_a_line(run: Start) -> None:
    process, lines = run("/bin/sh", "-c", "printf 'one\\r\\n\\ntwo'")
    process.wait(20)
    assert lines == ["one", "", "two"]


def test_bytes_that_are_not_utf8_are_replaced(run: Start) -> None:
    process, lines = run("/bin/sh", "-c", "printf 'a\\377b\\n'")
    process.wait(20)
    assert lines == ["a\ufffdb"]


def test_a_line_too_long_for_a_log_event_is_cut_into_several(run: Start) -> None:
    process, lines = run(*python(f"print('x' * {2 * LINE_BYTES + 5}); print('next')"))
    process.wait(20)
    assert [len(line) for line in lines] == [LINE_BYTES, LINE_BYTES, 5, 4]


def test_standard_input_is_empty(run: Start) -> None:
    process, lines = run("/bin/cat")
    assert process.wait(20) == 0
    assert lines == []


def test_the_environment_is_what_the_command_says_and_nothing_else(run: Start) -> None:
    process, lines = run("/usr/bin/env", env={"LANG": "C.UTF-8", "ONLY": "this"})
    process.wait(20)
    assert sorted(lines) == ["LANG=C.UTF-8", "ONLY=this"]


@pytest.mark.parametrize(("script", "status"), [("exit 7", 7), ("kill -KILL $$", -9), ("kill -SEGV $$", -11)])
def test_the_exit_status_is_the_commands_own(run: Start, script: str, status: int) -> None:
    process, _ = run("/bin/sh", "-c", script)
    assert process.wait(20) == status
    assert process.poll() == status


def test_a_command_that_cannot_be_run_says_so(run: Start) -> None:
    process, lines = run("/nowhere/serve")
    assert process.wait(20) == 127
    assert lines == ["cannot run /nowhere/serve: No such file or directory"]


def test_waiting_gives_up_after_its_time(run: Start) -> None:
    process, _ = run("/bin/sleep", "60")
    assert process.wait(0.05) is None
    assert process.poll() is None


def test_stop_lets_the_command_finish_its_work(run: Start) -> None:
    finishing = "trap 'echo finishing; exit 0' TERM; echo ready; while :; do sleep 0.01; done"
    process, lines = run("/bin/sh", "-c", finishing)
    until(lambda: lines, 10)
    assert process.stop(10) == 0
    assert lines == ["ready", "finishing"]


def test_stop_kills_what_ignores_it_after_its_grace_and_says_so(run: Start) -> None:
    """Row 4 of the faults, as the platform does it after 30 s."""
    process, lines = run("/bin/sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.01; done")
    until(lambda: lines, 10)
    assert process.stop(0.2) == -signal.SIGKILL
    assert lines == ["ready", "did not end within 0.2 s of SIGTERM: it was killed"]


def test_stopping_twice_gives_the_same_status(run: Start) -> None:
    process, _ = run("/bin/sleep", "60")
    assert process.stop(5) == process.stop(5) == -signal.SIGTERM


def test_nothing_the_command_started_outlives_it(run: Start) -> None:
    process, lines = run("/bin/sh", "-c", "setsid sleep 60 & echo $!; (sleep 60 & echo $!)")
    assert process.wait(20) == 0
    assert len(lines) == 2
    assert not any(is_alive(int(pid)) for pid in lines)


STARTER = """
import sys, time
from pathlib import Path
from infra.local.processes import Command, start
script = "trap '' TERM; echo $$; setsid sh -c 'echo $$; exec sleep 60' & (sleep 60 & echo $!); wait; sleep 60"
start(Command(("/bin/sh", "-c", script), {}, Path("/"), "container"), lambda line: print(line, flush=True))
time.sleep(60)
"""


def test_a_starter_killed_with_9_leaves_nothing_of_a_tree_that_ignores_sigterm() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTER], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        tree = [int(starter.stdout.readline()) for _ in range(3)]
        assert all(is_alive(pid) for pid in tree)
        starter.kill()
        starter.wait(10)
    until(lambda: not any(is_alive(pid) for pid in tree), 10)
