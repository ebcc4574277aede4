"""Every kind made of a small network and tried by real processes; a crash or a hang costs its row alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import transformers
from encoders import HANDLER as ENCODER
from encoders import write_encoder
from networks import HANDLER, write_model

from inference.serving.optimize import kinds
from inference.serving.optimize.rows import Row, Setting, row
from inference.serving.startup import variant

# The kinds' own names, and what their answers to floats of size 1 may differ by.
NEAR = {"compile": 1e-4, "aot-inductor": 1e-4, "onnxruntime": 1e-4, "int8": 0.2, "bf16": 0.2}
NEAR["onnxruntime-int8"] = 0.2


def setting(model: Path, limit_s: float = 110) -> Setting:
    return Setting(model, model / "code/samples.jsonl", "a digest", 0.01, limit_s)


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Row, Path]]:
    """A kind's row, and the folder that it was made in; each is tried once."""
    place = tmp_path_factory.mktemp("kinds")
    model, found = write_model(place / "model"), {}

    def once(kind: str) -> tuple[Row, Path]:
        if kind not in found:
            found[kind] = row(kind, setting(model), place / kind)
        return found[kind], place / kind

    return once


def test_the_model_itself_is_what_the_others_are_held_against(tried):
    eager, _ = tried(kinds.EAGER)
    assert eager.failure == ""
    assert eager.times == 1
    assert eager.attribute == "model"
    assert eager.size == 4 * (8 * 16 + 16 + 16 * 4 + 4)


@pytest.mark.parametrize("kind", NEAR)
def test_a_kind_answers_as_the_model_does(tried, kind):
    found, folder = tried(kind)
    assert found.failure == ""
    assert found.difference is not None and found.difference.equal == 1
    assert found.difference.largest <= NEAR[kind]
    assert found.difference.cosine >= (0.9 if "int8" in kind else 0.9999)
    assert set(found.rates) >= {1, 2, 4, 8}
    assert all(eager > 0 and lighter > 0 for eager, lighter in found.rates.values())
    written = variant.from_file(folder / variant.FILE)
    assert (written.kind, written.attribute, written.made_for) == (kind, "model", "a digest")


@pytest.mark.parametrize("kind", ["aot-inductor", "int8", "bf16", "onnxruntime", "onnxruntime-int8"])
def test_workers_can_be_forked_from_a_process_that_has_loaded_it(tried, kind):
    assert tried(kind)[0].forks


def test_every_kind_is_made_in_a_test_of_these():
    assert {*NEAR, "packed"} == set(kinds.NAMES)


def test_an_encoder_of_transformers_is_packed(tmp_path):
    found = row("packed", setting(write_encoder(tmp_path / "model")), tmp_path / "made")
    assert found.failure == ""
    assert found.difference is not None and found.difference.equal == 1
    assert found.difference.largest <= 1e-5
    assert found.forks
    written = variant.from_file(tmp_path / "made" / variant.FILE)
    assert (written.kind, written.file, written.form) == ("packed", "", None)
    assert written.needs == {"transformers": f"{'.'.join(transformers.__version__.split('.')[:2])}.*"}


def test_what_packs_is_measured_in_calls_of_any_lengths(tmp_path):
    model = write_encoder(tmp_path / "model")
    asks = 'assert type(self.model).__name__ != "Packed", "asked for a length"\n        return len'
    (model / "code/handler.py").write_text(ENCODER.replace("return len", asks))
    assert row("packed", setting(model), tmp_path / "made").failure == ""
    assert "asked for a length" not in (tmp_path / "made.log").read_text()


def test_what_is_no_model_of_transformers_cannot_be_packed(tried):
    assert tried("packed")[0].failure == (
        "Network is no model of transformers, which is what can be asked without padding"
    )


def test_bf16_that_answers_exactly_would_not_be_bf16(tried):
    assert tried("bf16")[0].difference.largest > 0


def test_the_quantized_files_are_smaller(tried):
    assert tried("onnxruntime-int8")[0].size > 0
    assert tried("int8")[0].size < tried(kinds.EAGER)[0].size
    assert not list(tried("onnxruntime-int8")[1].glob("whole*"))


def when_lighter(does: str) -> str:
    """The handler, which does this as soon as it is not the model that it calls."""
    own = HANDLER.replace("self.model.eval()", "self.own = id(self.model.eval())")
    check = f"        if id(self.model) != self.own:\n            {does}\n"
    return own.replace("        with torch.inference", f"{check}        with torch.inference")


@pytest.mark.parametrize(
    ("does", "limit_s", "told"),
    [
        ("import os; os.abort()", 110, "ended by SIGABRT"),
        ("import time; time.sleep(1000)", 9, "took more than 9 s"),
        ("raise ValueError('not\\nlike this')", 110, "ValueError: not"),
    ],
)
def test_what_crashes_or_hangs_costs_its_row_alone(tmp_path, does, limit_s, told):
    model = write_model(tmp_path / "model", when_lighter(does))
    found = row("int8", setting(model, limit_s), tmp_path / "made")
    assert told in found.failure
    assert "\n" not in found.failure
    assert found.rates is None


def test_a_handler_that_keeps_the_model_elsewhere_is_found_out(tmp_path):
    elsewhere = HANDLER.replace("self.model.eval()", "self.kept = [self.model.eval()]")
    model = write_model(tmp_path / "model", elsewhere.replace("self.model(inputs", "self.kept[0](inputs"))
    found = row("onnxruntime", setting(model), tmp_path / "made")
    assert "still reach the model itself" in found.failure


def test_a_library_that_is_missing_is_named_with_what_to_do(tmp_path):
    hidden = "import sys\nsys.modules['onnxscript'] = sys.modules['onnxruntime'] = None\n"
    model = write_model(tmp_path / "model", hidden + HANDLER)
    found = row("onnxruntime", setting(model), tmp_path / "made")
    assert "needs onnxruntime, onnxscript: put onnxruntime into inference/requirements.txt" in found.failure


def test_a_compiler_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    found = row("aot-inductor", setting(write_model(tmp_path / "model")), tmp_path / "made")
    assert "needs a C++ compiler, and no-such-compiler is not here" in found.failure


def test_a_sample_that_is_refused_is_the_rows_failure(tmp_path):
    model = write_model(tmp_path / "model")
    (model / "code/samples.jsonl").write_text(json.dumps([1.0]) + "\n")
    assert row(kinds.EAGER, setting(model), tmp_path / "made").failure
