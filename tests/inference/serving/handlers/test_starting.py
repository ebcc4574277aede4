"""Where an old handler finds its files, and what is left of that place."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.serving.errors import StartError
from inference.serving.handlers import starting


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    for name in ("weights.bin", "vocabulary/words.txt", "labels.txt", "code/handler.py", "code/labels.txt"):
        path = tmp_path / "model" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    (tmp_path / "model/code/manifest.json").write_text("{}")
    return tmp_path / "model"


def test_the_model_and_the_code_lie_in_one_folder_and_the_models_files_win(model_dir) -> None:
    folder = starting.one_folder(model_dir)
    found = {p.relative_to(folder).as_posix(): p.read_text() for p in folder.rglob("*") if p.is_file()}
    assert found == {
        "weights.bin": "weights.bin",
        "vocabulary/words.txt": "vocabulary/words.txt",
        "labels.txt": "labels.txt",
        "handler.py": "code/handler.py",
    }


def test_a_folder_goes_with_the_process_that_made_it_and_not_with_one_forked_from_it(tmp_path) -> None:
    script = (
        "import os, sys; from inference.serving.handlers import starting\n"
        "folder = starting.temporary_folder()\n"
        "child = os.fork()\n"
        "if not child: sys.exit()\n"
        "os.waitpid(child, 0); print(folder, folder.is_dir())\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    folder, was_there = told.split()
    assert was_there == "True"
    assert Path(folder).parent == tmp_path
    assert not Path(folder).exists()


def test_no_place_for_a_folder_names_tmpdir(monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", "/nowhere")
    with pytest.raises(StartError, match="TMPDIR"):
        starting.temporary_folder()


def test_the_code_is_beside_the_model_where_there_is_no_folder_code(tmp_path) -> None:
    assert starting.code_dir(tmp_path) == tmp_path
