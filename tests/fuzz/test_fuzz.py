"""Some thousand inputs for the readers, from the same seeds in every run, and controls that must be found.

Rows 16 and 17 of the faults: what is malformed is refused, and nothing that is archived leaves its folder.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.fuzz import targets
from tests.fuzz.__main__ import MISSING, Limits, fuzz, is_here, main

# Never skipped where the checks are made: there every wheel is to be had.
pytestmark = pytest.mark.skipif(not is_here() and not os.environ.get("CI"), reason=MISSING)
RUNS = {"archives": 1500, "decoders": 15_000}


@pytest.mark.parametrize("name", targets.SHORT)
def test_no_input_breaks_a_promise(name, tmp_path):
    outcome = fuzz(name, Limits(seconds=20, runs=RUNS[name]), tmp_path)
    assert outcome.returncode == 0, outcome.said[-3000:]
    assert outcome.found == []
    assert "number_of_executed_units" in outcome.said


@pytest.mark.parametrize("name", targets.TARGETS)
def test_the_seeds_keep_the_promise_without_atheris(name):
    for seed in targets.TARGETS[name].seeds:
        targets.TARGETS[name].run(seed)


def test_a_planted_crash_is_found_by_its_coverage_and_its_input_is_kept(tmp_path):
    outcome = fuzz("planted", Limits(seconds=60), tmp_path)
    assert outcome.returncode
    assert "ZeroDivisionError: the planted mistake" in outcome.said
    (kept,) = outcome.found
    assert kept.read_bytes().startswith(b"SLIP")
    again = fuzz("planted", Limits(), tmp_path / "again", str(kept))
    assert "ZeroDivisionError" in again.said


def test_a_planted_hang_is_found(tmp_path):
    outcome = fuzz("planted-hang", Limits(seconds=30, one_input_s=2), tmp_path)
    assert outcome.returncode
    assert "timeout" in outcome.said and len(outcome.found) == 1


@pytest.mark.parametrize("target", ["archive", "trained"])
def test_an_archive_reader_that_writes_where_it_is_told_to_is_found(target, tmp_path):
    def careless(packed: Path, into: Path) -> None:
        into.mkdir()
        (into.parent / "out").write_bytes(packed.read_bytes()[:1])

    with pytest.raises(targets.Broken, match="written beside the destination"):
        targets.unpack(careless, ValueError, b"x")


def test_a_decoder_that_answers_5xx_is_found(monkeypatch):
    def failing(body, content_type):
        raise targets.Refusal("a mistake of ours")

    monkeypatch.setattr(targets.codecs, "decode", failing)
    with pytest.raises(targets.Broken, match="refused with 500"):
        targets.decode("application/json", b"[1]")


def test_where_atheris_is_missing_it_is_said_and_fails(monkeypatch, capsys):
    monkeypatch.setattr("tests.fuzz.__main__.is_here", lambda: False)
    assert main([]) == 2
    assert "wheels for Linux on x86-64" in capsys.readouterr().err
