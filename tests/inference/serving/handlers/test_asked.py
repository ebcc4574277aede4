"""`python -m inference.serving.handlers`: what a folder is, told in JSON to other programs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

MODEL_FN = "import torch\nraise SystemExit('never run')\ndef model_fn(model_dir): ...\n"


def asked(*words: str, **settings: str) -> tuple[int, dict[str, object]]:
    """The exit status, and what was told."""
    command = [sys.executable, "-m", "inference.serving.handlers", *words]
    done = subprocess.run(
        command, env={**os.environ, **settings}, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def test_the_one_reading_is_told_with_the_image_that_it_is_for(tmp_path: Path) -> None:
    (tmp_path / "serve.py").write_text(MODEL_FN)
    reading = {
        "shape": "SAGEMAKER",
        "file": "serve.py",
        "name": "",
        "line": 3,
        "choice": "serve.py",
        "text": "serve.py line 3: SageMaker's functions",
    }
    assert asked("recognise", str(tmp_path)) == (0, {"readings": [reading], "image": "PyTorch"})


def test_several_readings_are_all_told_and_the_setting_decides(tmp_path: Path) -> None:
    (tmp_path / "handler.py").write_text("class EndpointHandler: ...\n")
    (tmp_path / "inference.py").write_text(MODEL_FN)
    status, told = asked("recognise", str(tmp_path))
    assert (status, [each["choice"] for each in told["readings"]]) == (  # type: ignore[attr-defined]
        0,
        ["handler.py:EndpointHandler", "inference.py"],
    )
    _, told = asked("recognise", str(tmp_path), SLIPWAY_HANDLER="inference.py")
    assert [each["choice"] for each in told["readings"]] == ["inference.py"]  # type: ignore[attr-defined]


def test_nothing_is_no_reading(tmp_path: Path) -> None:
    assert asked("recognise", str(tmp_path)) == (0, {"readings": [], "image": ""})


def test_a_broken_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "inference.py").write_text("def (:\n")
    assert asked("recognise", str(tmp_path)) == (
        1,
        {"error": "inference.py: syntax error in line 1: invalid syntax"},
    )


def test_a_mar_is_unpacked_or_refused(tmp_path: Path) -> None:
    for name, member in (("good.mar", "a.py"), ("bad.mar", "../a.py")):
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr(member, "x = 1\n")
        (tmp_path / name).with_suffix("").mkdir()
    assert asked("unpack", str(tmp_path / "good.mar"), str(tmp_path / "good")) == (0, {})
    assert (tmp_path / "good/a.py").read_text() == "x = 1\n"
    status, told = asked("unpack", str(tmp_path / "bad.mar"), str(tmp_path / "bad"))
    assert (status, told) == (1, {"error": "bad.mar: '../a.py' leads out of the archive"})


def test_another_word_is_wrong_usage() -> None:
    status, told = asked("serve")
    assert status == 1
    assert "expected recognise FOLDER, or unpack MODEL.mar FOLDER" in str(told["error"])
