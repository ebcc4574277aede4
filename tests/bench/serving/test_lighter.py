"""One more row of ours, whose model is what `optimize` has made of the workload's."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from bench.serving import lighter, workloads
from bench.serving.contestants import Kind
from bench.serving.running import Place
from bench.serving.workloads import WORKLOADS, Prepared


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Environments of which ours is the one that the tests run in."""
    python = tmp_path / "environments/slipway/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return Place(tmp_path / "environments", tmp_path, 1)


def test_the_row_serves_the_workloads_model_with_the_variant_beside_it(tmp_path, place):
    model = tmp_path / "models/tiny"
    workloads.write_model("tiny", lambda: tmp_path, model)
    row = lighter.row(Prepared(WORKLOADS["tiny"], model, {}), place, "int8")
    assert row is not None and row.model is not None
    assert (row.kind, row.workloads) == (Kind.OPTIMIZED, ("tiny",))
    assert json.loads((row.model / "optimized/variant.json").read_text())["kind"] == "int8"
    assert (row.model / "code/handler.py").read_text() == (model / "code/handler.py").read_text()
    assert not (model / "optimized").exists()


def test_a_variant_that_cannot_be_made_ends_the_run(tmp_path, place):
    with pytest.raises(SystemExit, match="optimize failed"):
        lighter.row(Prepared(WORKLOADS["tiny"], tmp_path / "nothing", {}), place, "int8")
