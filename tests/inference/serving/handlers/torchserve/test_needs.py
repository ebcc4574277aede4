"""What a .mar's own requirements ask for is not installed at start; what of it is missing is said there."""

from __future__ import annotations

import json
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from inference.serving.handlers.torchserve import manifest, needs

NUMPY = metadata.version("numpy")


@pytest.mark.parametrize(
    ("line", "is_unmet"),
    [
        ("numpy", False),
        ("NumPy>=1", False),
        (f"numpy=={NUMPY}", False),
        ("numpy==0.1  # old", True),
        ("no-such-package", True),
        ("no-such-package[extra] == 1.0", True),
        ("no-such-package ; sys_platform == 'win32'", False),
        ("# no-such-package", False),
        ("", False),
        ("-r more.txt", False),
        ("--extra-index-url https://example.org", False),
    ],
)
def test_a_line_is_unmet_where_its_package_is_missing_or_another_version(tmp_path, line, is_unmet):
    (tmp_path / "requirements.txt").write_text(f"\ufeff{line}\n")
    assert needs.unmet(tmp_path / "requirements.txt") == ([line] if is_unmet else [])


def test_a_file_that_was_not_packed_asks_for_nothing(tmp_path):
    assert needs.unmet(tmp_path / "requirements.txt") == []


@pytest.mark.parametrize(("text", "said"), [("no-such-package\nnumpy\n", True), ("numpy\n", False)])
def test_what_is_missing_is_said_with_what_to_do(tmp_path: Path, capsys, text, said):
    document = {"model": {"modelName": "m", "handler": "h.py", "requirementsFile": "needs.txt"}}
    with zipfile.ZipFile(tmp_path / "m.mar", "w") as archive:
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps(document))
        archive.writestr("needs.txt", text)
    manifest.read(tmp_path)
    told = (
        "slipway: needs.txt of the model asks for no-such-package, which is not what is installed: put "
        "it into inference/requirements.txt (make import FROM=….mar does)\n"
    )
    assert capsys.readouterr().err == (told if said else "")
