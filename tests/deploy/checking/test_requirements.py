"""Requirements are read as pip reads them."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.checking import requirements

TEXT = """\
# a comment
numpy==2.4.6  # pinned
Scikit_Learn[all] >= 1.9 ; python_version > "3"
long \\
    ==1.0 \\
    --hash=sha256:00
--index-url=https://index.example.com/simple
-f wheels
own @ https://example.com/own-1.0-py3-none-any.whl#sha256=00
./here
"""


@pytest.fixture
def read(tmp_path: Path):
    def written(text: str) -> list[requirements.Line]:
        (tmp_path / "inference").mkdir(exist_ok=True)
        (tmp_path / "inference/requirements.txt").write_text(text)
        return requirements.read(tmp_path / "inference/requirements.txt", tmp_path)

    return written


def test_names_versions_options_and_places_are_told(read):
    lines = read(TEXT)
    assert [(line.place.rpartition(":")[2], line.name, line.version) for line in lines] == [
        ("2", "numpy", "2.4.6"),
        ("3", "scikit-learn", ""),
        ("4", "long", "1.0"),
        ("7", "", ""),
        ("8", "", ""),
        ("9", "own", ""),
        ("10", "", ""),
    ]
    assert [(line.option, line.value) for line in lines[3:5]] == [
        ("--index-url", "https://index.example.com/simple"),
        ("-f", "wheels"),
    ]
    assert lines[0].place == "inference/requirements.txt:2"
    assert lines[5].requirement.url.startswith("https://example.com/own")


def test_included_files_are_read_and_one_that_includes_itself_is_read_once(read, tmp_path):
    (tmp_path / "more.txt").write_text("first\n-r inference/requirements.txt\n-r gone.txt\n")
    lines = read("-r ../more.txt\nsecond\n")
    assert [line.name for line in lines if line.name] == ["first", "second"]
    assert lines[1].place == "more.txt:1"
    assert tmp_path / "more.txt" in requirements.included(lines)


def test_without_a_file_there_are_none(tmp_path):
    assert requirements.read(tmp_path / "requirements.txt", tmp_path) == []


def test_pins_are_those_of_a_file_of_constraints(tmp_path):
    (tmp_path / "constraints.txt").write_text("# all\na-b==1.0\nc>=2\n")
    assert requirements.pins(tmp_path / "constraints.txt") == {"a-b": "1.0"}
