"""The archive as a container finds it, for as long as it is looked at."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import package
from deploy.checking.layout import laid_out
from deploy.unpack import UnpackError


@pytest.fixture
def archive(project, tmp_path):
    place = project()
    return package.build(place / "build/model", place / "inference", tmp_path / "out/model.tar.gz").path


def modes(folder: Path) -> set[str]:
    return {oct(path.stat().st_mode & 0o777) for path in (folder, *folder.rglob("*"))}


def test_the_model_is_read_only_and_home_is_not_and_all_is_gone_after(archive):
    with laid_out(archive) as layout:
        assert (layout.model / "weights.json").read_text() == '{"factor": 2}'
        assert (layout.model / "code/handler.py").is_file()
        assert modes(layout.model) == {"0o444", "0o555"}
        assert os.access(layout.home / "tmp", os.W_OK)
        folders = [layout.ml, layout.runtime, layout.home]
    assert not any(folder.exists() for folder in folders)
    assert list(archive.parent.iterdir()) == [archive]


def test_the_runtime_is_all_of_slipway_that_can_be_imported(archive, tmp_path):
    script = (
        "import inference.serving, importlib.util as u; print([u.find_spec(n) for n in ('deploy', 'infra')])"
    )
    with laid_out(archive) as layout:
        done = subprocess.run(
            [sys.executable, "-c", script],
            cwd=layout.home,
            env={"PYTHONPATH": str(layout.runtime)},
            capture_output=True,
            text=True,
        )
        assert not (layout.runtime / "inference/handler.py").exists()
    assert done.stdout == "[None, None]\n", done.stderr


def test_a_damaged_archive_leaves_nothing(archive):
    archive.write_bytes(archive.read_bytes()[:-20])
    with pytest.raises(UnpackError), laid_out(archive):
        pytest.fail("it was taken")
    assert list(archive.parent.iterdir()) == [archive]


def test_what_a_killed_check_left_is_removed_and_what_a_running_one_has_is_not(archive):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left, held = (archive.parent / f".checking-{pid}-x" for pid in (ended.pid, os.getppid()))
    for folder in (left, held):
        (folder / "ml").mkdir(parents=True)
        (folder / "ml").chmod(0o555)
    with laid_out(archive):
        assert (left.exists(), held.exists()) == (False, True)
