"""A container by podman's command line: its output, its end, and nothing left of it."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import images
import pytest
from waiting import is_alive, until

from infra.local.engines import Asked, ImageMissing, Running
from infra.local.engines.asked import Folder
from infra.local.engines.images import LABEL, Images, words_of
from infra.local.processes import Command
from infra.local.settings import SettingError, from_environment

# The first test to need it waits for the base to be made.
pytestmark = pytest.mark.timeout(300)
Start = Callable[..., tuple[Running, list[str]]]


@pytest.fixture
def engine(base: str, tmp_path: Path) -> Iterator[Images]:
    made = Images("podman", tmp_path)
    yield made
    made.clean()


def containers(home: Path) -> list[str]:
    """What podman has of the local cloud of that home, running or not."""
    return images.run("podman", "ps", "-aq", "--filter", f"label={LABEL}={home}").stdout.split()


def shell(place: Path, script: str, **given: object) -> Asked:
    """A container of the base image in which a shell runs the script."""
    made = {"words": ("-c", script), "entrypoint": ("/bin/sh",), "environment": {}, **given}
    return Asked(Command((), {}, place, "test"), images.BASE, **made)


@pytest.fixture
def run(engine: Images, tmp_path: Path) -> Iterator[Start]:
    running = []

    def begin(script: str, **given: object) -> tuple[Running, list[str]]:
        lines: list[str] = []
        running.append(engine.start(shell(tmp_path, script, **given), lines.append))
        return running[-1], lines

    yield begin
    for one in running:
        one.stop(0)


def test_its_lines_and_its_status_are_known_at_its_end_and_nothing_is_left(
    run: Start, tmp_path: Path
) -> None:
    container, lines = run("echo one; echo two >&2; exit 7")
    assert container.wait(60) == 7
    assert sorted(lines) == ["one", "two"]
    assert containers(tmp_path) == []


def test_its_process_is_the_first_in_the_container_and_not_the_tool_s(run: Start) -> None:
    container, _ = run("exec sleep 600")
    pid = until(lambda: container.pid, 60)
    assert until(lambda: Path(f"/proc/{pid}/cmdline").read_bytes()) == b"sleep\x00600\x00"


def test_its_environment_is_the_image_s_and_what_was_given(run: Start) -> None:
    given = {
        "BLANKS": " a  b ",
        "EQUAL": "a=b",
        "HASH": "#a",
        "LINES": "a\nb",
        "EMPTY": "",
        "QUOTE": "'\"$HOME\\",
    }
    container, lines = run("env -0 | tr '\\0\\n' '\\n|'", environment=given)
    container.wait(60)
    seen = dict(line.split("=", 1) for line in "\n".join(lines).splitlines() if "=" in line)
    assert {name: seen[name].replace("|", "\n") for name in given} == given
    assert not {"PYTHONPATH", "CONTAINERS_CONF", "PYTEST_CURRENT_TEST"} & seen.keys()


def test_no_value_of_its_environment_is_in_a_command_line(run: Start, tmp_path: Path) -> None:
    container, lines = run("echo ready; sleep 60", environment={"KEY": "s3cr3t", "LINES": "s3cr3t\n"})
    until(lambda: lines, 60)
    found = [path.read_bytes() for path in Path("/proc").glob("[0-9]*/cmdline") if path.exists()]
    assert not [line for line in found if b"s3cr3t" in line]
    assert (tmp_path / "environment").stat().st_mode & 0o777 == 0o600
    container.stop(0)


def test_its_folders_are_at_their_places_to_read_or_to_write(run: Start, tmp_path: Path) -> None:
    for name in ("model", "output"):
        (tmp_path / name).mkdir()
    (tmp_path / "model/weights").write_text("3")
    folders = {
        "/opt/ml/model": Folder(tmp_path / "model"),
        "/opt/ml/output": Folder(tmp_path / "output", writable=True),
    }
    script = "cat /opt/ml/model/weights; echo; echo told > /opt/ml/output/failure; : > /opt/ml/model/new"
    container, lines = run(script, folders=folders)
    assert container.wait(60) != 0
    assert lines[0] == "3"
    assert "Read-only file system" in lines[1]
    assert (tmp_path / "output/failure").read_text() == "told\n"


def test_stop_lets_it_finish_its_work(run: Start) -> None:
    container, lines = run("trap 'echo finishing; exit 0' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: lines, 60)
    assert container.stop(20) == 0
    assert lines == ["ready", "finishing"]


def test_stop_kills_what_ignores_it_after_its_grace_and_leaves_nothing(run: Start, tmp_path: Path) -> None:
    """Row 4 of the faults."""
    container, lines = run("trap '' TERM; echo ready; while :; do sleep 0.1; done")
    until(lambda: lines, 60)
    container.stop(0.5)
    assert lines == ["ready", "did not end within 0.5 s of SIGTERM: it was killed"]
    assert containers(tmp_path) == []


STARTER = """
import sys, time
from pathlib import Path
from infra.local.engines import Asked
from infra.local.engines.images import Images
from infra.local.processes import Command
from infra.local.settings import SettingError, from_environment
place = Path(sys.argv[1])
asked = Asked(Command((), {}, place, "test"), sys.argv[2], ("-c", sys.argv[3]), {}, ("/bin/sh",))
Images("podman", place).start(asked, lambda line: print(line, flush=True))
time.sleep(60)
"""


@pytest.mark.parametrize("script", ["sleep 61", "trap '' TERM; while :; do sleep 0.1; done"])
def test_a_starter_killed_with_9_leaves_nothing_that_runs_and_the_next_removes_the_rest(
    engine: Images, tmp_path: Path, script: str
) -> None:
    command = [sys.executable, "-c", STARTER, str(tmp_path), images.BASE, f"echo ready; {script}"]
    with subprocess.Popen(command, cwd=images.ROOT, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        assert starter.stdout.readline() == "ready\n"
        (container,) = containers(tmp_path)
        pid = images.run("podman", "inspect", "--format", "{{.State.Pid}}", container).stdout.strip()
        assert is_alive(pid)
        starter.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(pid), 20)
    engine.clean()
    assert containers(tmp_path) == []


def test_what_another_local_cloud_runs_is_left_alone(engine: Images, run: Start, tmp_path: Path) -> None:
    _, lines = run("echo ready; sleep 60")
    until(lambda: lines, 60)
    Images("podman", tmp_path / "elsewhere").clean()
    assert len(containers(tmp_path)) == 1


def test_an_image_that_is_not_there_is_told_and_nothing_is_pulled(engine: Images) -> None:
    engine.check(images.BASE)
    with pytest.raises(ImageMissing, match=r"podman has no image localhost/no-such:1"):
        engine.check("localhost/no-such:1")


def test_a_tool_that_is_not_there_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="SLIPWAY_LOCAL_CONTAINERS=docker: docker is not on PATH"):
        Images("docker", tmp_path).clean()


def asked(**given: object) -> Asked:
    return Asked(Command((), {}, Path("/place"), "test"), "image:1", ("serve",), {}, **given)


def test_a_port_is_published_on_this_machine_alone() -> None:
    assert "--publish=127.0.0.1:4000:8080" in words_of(asked(port=4000))


def test_a_container_with_the_machine_s_network_publishes_nothing() -> None:
    words = words_of(asked(port=4000, on_host=True))
    assert "--network=host" in words
    assert not [word for word in words if word.startswith("--publish")]


def test_what_is_run_stands_behind_the_image() -> None:
    assert words_of(asked())[-2:] == ["image:1", "serve"]
    replaced = words_of(asked(entrypoint=("python3", "launch.py")))
    assert replaced[-4:] == ["--entrypoint=python3", "image:1", "launch.py", "serve"]


def test_what_runs_containers_is_one_of_three() -> None:
    assert from_environment({"SLIPWAY_LOCAL_CONTAINERS": "docker"}).containers == "docker"
    with pytest.raises(SettingError, match="'lxc': expected process or podman or docker"):
        from_environment({"SLIPWAY_LOCAL_CONTAINERS": "lxc"})
