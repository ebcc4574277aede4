"""One word for one thing, and no word that says where a verb's cloud stands."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "core", "misc"}
# A word of somebody else's for a thing that has a name here, and ours.
SYNONYMS = {
    r"\bSage ?maker\b": "SageMaker",
    r"\bend-point": "endpoint",
    r"\bhealth ?check route\b": "/ping",
    r"\binferences\b": "predictions",
    r"\bpayload instances\b": "instances",
    r"\bemulator\b": "local cloud",
}


def tracked() -> list[Path]:
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


@pytest.mark.parametrize("path", sorted((ROOT / "deploy").rglob("*.py")), ids=lambda p: p.name)
@pytest.mark.parametrize("word", ["moto", "localhost", "127.0.0.1"])
def test_deploy_does_not_know_where_its_cloud_stands(path: Path, word: str) -> None:
    assert not re.search(rf"\b{re.escape(word)}\b", path.read_text())


def test_no_file_has_a_vague_name() -> None:
    assert [p for p in tracked() if p.stem in VAGUE_NAMES] == []


@pytest.mark.parametrize("wrong", SYNONYMS)
def test_one_word_for_one_thing(wrong: str) -> None:
    texts = (p for p in tracked() if p.suffix in {".py", ".md", ".toml"} and p != Path(__file__))
    found = [f"{p.relative_to(ROOT)}: {m.group()}" for p in texts for m in re.finditer(wrong, p.read_text())]
    assert found == [], f"the word here is {SYNONYMS[wrong]}"


def test_no_merge_or_work_marker_is_left() -> None:
    marker = "TO" + "DO|FIX" + "ME|X" + "XX|<{7} |>{7} "
    assert [
        p.name
        for p in tracked()
        if p.suffix in {".py", ".md", ".toml"} and re.search(rf"\b({marker})", p.read_text())
    ] == []
