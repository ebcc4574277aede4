"""The container's Python is made once, kept while nothing changes, and made anew when anything did."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from waiting import until

from deploy.checking import environment, installing, resolving
from deploy.checking.environment import Wanted

ROOT = Path(__file__).parents[3]


def ignore(state: str) -> None:
    pass


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts an empty package's wheel where pip alone looks: no index is asked."""
    place = tmp_path / "wheels"
    place.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(place))

    def put(name: str, tag: str = "py3-none-any") -> Path:
        wheel = place / f"{name}-1.0-{tag}.whl"
        about = f"{name}-1.0.dist-info"
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr(f"{name}.py", "")
            archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
            told = f"Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: {tag}\n"
            archive.writestr(f"{about}/WHEEL", told)
            archive.writestr(f"{about}/RECORD", "")
        return wheel

    return put


@pytest.fixture
def wanted(tmp_path: Path) -> Callable[..., Wanted]:
    """What these requirements ask for; without any, pip has nothing to do, which takes a second less."""

    def write(requirements: str = "", pins: str = "") -> Wanted:
        (tmp_path / "requirements.txt").write_text(requirements)
        (tmp_path / "constraints.txt").write_text(pins)
        files = (tmp_path / "requirements.txt",) if requirements else ()
        return Wanted(files, (), tmp_path / "constraints.txt")

    return write


def held(wanted: Wanted, cache: Path) -> tuple[bool, Path, list[str]]:
    """Whether it was made now, where it is, and what is in it."""
    with environment.held(wanted, ignore, cache) as found:
        return found.made, found.place, sorted(found.packages())


def test_it_has_what_is_named_and_nothing_else_and_is_made_once(wheels, wanted, tmp_path):
    wheels("first")
    made, place, packages = held(wanted("first\n"), tmp_path / "cache")
    assert (made, packages) == (True, ["first"])
    done = subprocess.run([place / "venv/bin/python", "-c", "import first, pytest"], capture_output=True)
    assert b"No module named 'pytest'" in done.stderr
    (tmp_path / "wheels/first-1.0-py3-none-any.whl").unlink()  # whoever asks again finds nothing
    assert held(wanted("first\n"), tmp_path / "cache") == (False, place, ["first"])


def test_other_requirements_pins_and_included_files_are_another_environment(wanted, tmp_path):
    first = wanted("# one\n")
    digest = first.digest
    assert wanted("# two\n").digest != digest
    pinned = wanted("# one\n")
    pinned.constraints.write_text("first==1.0\n")
    assert pinned.digest != digest
    included = tmp_path / "more.txt"
    included.write_text("")
    assert Wanted(first.requirements, (included,), first.constraints).digest != wanted("# one\n").digest


@pytest.mark.parametrize("damage", ["a file is gone", "a file is shorter", "Python is gone", "not finished"])
def test_one_that_is_broken_is_made_anew(wanted, tmp_path, damage):
    _, place, _ = held(wanted(), tmp_path / "cache")
    config, python = place / "venv/pyvenv.cfg", place / "venv/bin/python"
    if damage == "a file is gone":
        (place / "venv/bin/activate").unlink()
    elif damage == "a file is shorter":
        config.write_text(config.read_text()[:-1])
    elif damage == "Python is gone":  # the one that this one is a link to
        target = str(python.readlink())
        python.unlink()
        python.symlink_to("/" + "x" * (len(target) - 1))
    else:
        (place / "ready.json").unlink()
    assert held(wanted(), tmp_path / "cache")[0]
    assert not held(wanted(), tmp_path / "cache")[0]


def test_what_cannot_be_installed_is_told_in_pip_s_words_and_leaves_nothing(wheels, wanted, tmp_path):
    with pytest.raises(installing.Failed, match="No matching distribution found for nowhere"):
        held(wanted("nowhere==1\n"), tmp_path / "cache")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]


def running_with(word: Path) -> list[str]:
    """The processes that were given this word."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if os.fsencode(word) in (process / "cmdline").read_bytes().split(b"\0"):
                found.append(process.name)
    return found


def test_ctrl_c_while_pip_works_ends_pip_and_leaves_nothing(wheels, wanted, tmp_path):
    wheels("first")

    def interrupted(state: str) -> None:
        assert len(running_with(tmp_path / "constraints.txt")) == 2
        raise KeyboardInterrupt

    with (
        pytest.raises(KeyboardInterrupt),
        environment.held(wanted("first\n"), interrupted, tmp_path / "cache"),
    ):
        pytest.fail("it was made")
    assert [path.suffix for path in (tmp_path / "cache").iterdir()] == [".lock"]
    until(lambda: not running_with(tmp_path / "constraints.txt"), 10)
    assert held(wanted("first\n"), tmp_path / "cache")[0]


def test_the_oldest_goes_when_there_are_too_many_but_never_one_in_use(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "KEPT", 1)
    cache = tmp_path / "cache"
    with environment.held(wanted(pins="# one\n"), ignore, cache) as first:
        second = held(wanted(pins="# two\n"), cache)[1]
        assert first.python.exists() and second.exists()
    third = held(wanted(pins="# three\n"), cache)[1]
    assert [place.exists() for place in (first.place, second, third)] == [False, False, True]


HOLDS = """
import sys, time
from pathlib import Path
from deploy.checking import environment
from deploy.checking.environment import Wanted
files = [Path(word) for word in sys.argv[1:3]]
with environment._locked(files[1] / Wanted((), (), files[0]).digest, print):
    print("holds", flush=True)
    sys.stdin.read()
"""


def test_two_checks_at_once_make_one_environment(wanted, tmp_path):
    """While another process makes it, this one waits, and says so."""
    asked, cache = wanted(), tmp_path / "cache"
    cache.mkdir()
    words = [sys.executable, "-c", HOLDS, str(asked.constraints), str(cache)]
    said: list[str] = []
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout and other.stdin and other.stdout.readline() == "holds\n"

        def say(state: str) -> None:
            said.append(state)
            other.stdin.close()

        with environment.held(asked, say, cache) as found:
            assert found.made
        until(lambda: other.poll() is not None, 10)
    assert said[0] == "waits for another check"


def test_wheels_are_found_for_another_processor_once(wheels, wanted, tmp_path):
    cache, asked = tmp_path / "cache", wanted("first\n")
    wheel = wheels("first", "py3-none-manylinux_2_28_aarch64")
    resolving.resolve(asked, "aarch64", ignore, cache)
    with pytest.raises(resolving.NoWheel, match="No matching distribution found for first"):
        resolving.resolve(asked, "x86_64", ignore, cache)
    wheel.unlink()
    resolving.resolve(asked, "aarch64", ignore, cache)


def test_a_wheel_for_a_mac_alone_is_none_for_a_container(wheels, wanted, tmp_path):
    wheels("first", "py3-none-macosx_11_0_arm64")
    with pytest.raises(installing.Failed, match="No matching distribution found for first"):
        resolving.resolve(wanted("first\n"), "x86_64", ignore, tmp_path / "cache")


def test_pip_is_not_led_astray_by_the_shell(wheels, wanted, tmp_path, monkeypatch):
    wheels("first")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    (tmp_path / "pip.py").write_text("raise SystemExit(3)\n")
    monkeypatch.setenv("PYTHONPATH", os.fspath(tmp_path))
    assert held(wanted("first\n"), tmp_path / "cache")[2] == ["first"]
    assert not (tmp_path / "elsewhere").exists()
