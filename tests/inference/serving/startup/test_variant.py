"""A packaged variant serves in the model's place, and one that cannot says what to do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import transformers
from encoders import write_encoder
from networks import HANDLER, write_model

from inference.serving.errors import StartError
from inference.serving.optimize.rows import Setting, row
from inference.serving.predictor import Predictor
from inference.serving.startup import loading, variant
from inference.serving.startup.variant import Variant

BF16 = Variant("bf16", "model", "twice as fast", batch_size=4)
ROW = [0.5, -1.0, 0.25, 2.0, 0.0, 1.0, -0.5, 1.5]


@pytest.fixture
def load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Predictor]]:
    """Loads the small network with a variant, if one is given, beside it."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = write_model(tmp_path / "model")

    def loaded(found: Variant | str | None = None, handler: str = HANDLER) -> Predictor:
        sys.modules.pop("handler", None)
        (model / "code/handler.py").write_text(handler)
        folder = model / variant.FOLDER
        folder.mkdir(exist_ok=True)
        if isinstance(found, Variant):
            variant.write(found, folder)
        elif found:
            (folder / variant.FILE).write_text(found)
        return loading.load(model)

    yield loaded
    sys.modules.pop("handler", None)


def test_a_variant_answers_in_the_models_place_and_the_log_says_so(load, capsys):
    right = load().predictions([ROW], {})
    lighter = load(BF16)
    found = lighter.predictions([ROW], {})
    assert found == pytest.approx(right, abs=0.1)
    assert (found != right).any()  # of eight bits, it is not the model's own
    told = "slipway: optimized/variant.json: served as bf16 in the place of model: twice as fast\n"
    assert told in capsys.readouterr().err


def test_its_best_batch_size_is_the_predictors(load):
    assert load().batch_size == 0
    assert load(BF16).batch_size == 4


def test_what_is_written_is_what_is_read(load, tmp_path):
    variant.write(replace(BF16, needs={"torch": "1"}), tmp_path)
    assert variant.from_file(tmp_path / variant.FILE) == replace(BF16, needs={"torch": "1"})


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (
            replace(BF16, needs={"no-such-library": "1.2"}),
            "needs no-such-library 1.2, and here is none: put no-such-library==1.2 into inference/",
        ),
        (
            replace(BF16, needs={"torch": "1.0+cpu"}),
            rf"here is {torch.__version__[:4]}.*put torch==1\.0 into",
        ),
        (
            replace(BF16, processor="m68k NONE"),
            "was compiled for m68k NONE, and this is .*: optimize on a machine",
        ),
        (
            replace(BF16, needs={"torch": "1.*"}),
            rf"needs torch 1\.\*, and here is {torch.__version__[:4]}.*put torch==1\.\* into",
        ),
        (replace(BF16, kind="packed"), "packed does not load: NotPacked: Network is no model of transf"),
        (replace(BF16, kind="magic"), "kind is 'magic'; expected one of compile"),
        (replace(BF16, attribute="network"), "the handler has no 'network' after load"),
        (replace(BF16, kind="aot-inductor", file="model.pt2"), "aot-inductor does not load: "),
        ("{}", "KeyError|'format'"),
        ('{"format": 2}', "format 2; expected 1"),
        ("no JSON", "variant.json: Expecting value"),
    ],
)
def test_one_that_cannot_serve_is_a_start_error_with_what_to_do(load, found, sentence):
    with pytest.raises(StartError, match=sentence) as raised:
        load(found)
    assert "CHOOSE=none" in str(raised.value)


def test_a_handler_of_another_server_has_no_place_for_one(load, tmp_path):
    old = "def model_fn(model_dir):\n    return None\n\ndef predict_fn(data, model):\n    return data\n"
    (tmp_path / "model/code/entry.py").write_text(old)
    (tmp_path / "model/code/handler.py").unlink()
    (tmp_path / "model/optimized").mkdir()
    variant.write(BF16, tmp_path / "model/optimized")
    with pytest.raises(StartError, match="has no place for it"):
        loading.load(tmp_path / "model")


def test_two_workers_answer_from_one_onnx_file_over_http(tmp_path, serve):
    model = write_model(tmp_path / "opt/ml/model")
    made = row("onnxruntime", Setting(model, model / "code/samples.jsonl", "", 0.01, 110), tmp_path / "made")
    assert made.failure == ""
    (tmp_path / "made").rename(model / "optimized")
    served = serve(SAGEMAKER_BASE_DIR=str(model.parent), SLIPWAY_WORKERS="2").wait_ready()
    assert served.log.count("served as onnxruntime in the place of model") == 1  # loaded once, and forked
    state = torch.load(model / "weights.pt", weights_only=True)
    hidden = torch.relu(torch.tensor(ROW) @ state["first.weight"].T + state["first.bias"])
    right = (2 * (hidden @ state["second.weight"].T + state["second.bias"])).tolist()
    for count in (1, 3, 70):
        answer = served.post(json.dumps({"instances": [ROW] * count}).encode())
        assert answer.status == 200
        assert answer.json["predictions"] == [pytest.approx(right, abs=1e-4)] * count
    # What it was not made for is refused as the model itself refuses it.
    assert served.post(json.dumps({"instances": [ROW[:-1]]}).encode()).status == 500
    assert "the model itself answers such" in served.log
    assert served.stop() == 0


def test_a_series_of_versions_is_any_of_it(load):
    major, minor, _ = torch.__version__.split(".")
    assert load(replace(BF16, needs={"torch": f"{major}.{minor}.*"})).batch_size == 4
    with pytest.raises(StartError, match="needs torch"):
        load(replace(BF16, needs={"torch": f"{major}.{minor[0]}.*"}))


def test_what_packs_is_asked_in_calls_of_any_lengths(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = write_encoder(tmp_path)
    assert loading.load(model).length is not None
    (model / variant.FOLDER).mkdir()
    variant.write(Variant("packed", "model", "faster", 16), model / variant.FOLDER)
    found = loading.load(model)
    assert (found.length, found.batch_size) == (None, 16)


def test_two_workers_answer_texts_of_many_lengths_without_padding(tmp_path, serve):
    model = write_encoder(tmp_path / "opt/ml/model")
    made = row("packed", Setting(model, model / "code/samples.jsonl", "", 0.01, 110), tmp_path / "made")
    assert made.failure == ""
    (tmp_path / "made").rename(model / "optimized")
    served = serve(SAGEMAKER_BASE_DIR=str(model.parent), SLIPWAY_WORKERS="2").wait_ready()
    assert served.log.count("served as packed in the place of model") == 1  # loaded once, and forked
    own = transformers.AutoModel.from_pretrained(model, local_files_only=True).eval()
    texts = ["one", "a longer text than one", "?", "and one in between"]
    for asked in ([texts[0]], texts, texts * 12):
        answer = served.post(json.dumps({"instances": asked}).encode())
        assert answer.status == 200
        for text, found in zip(asked, answer.json["predictions"], strict=True):
            ids = torch.tensor([[3 + ord(letter) % 90 for letter in text]])
            with torch.inference_mode():
                right = own(input_ids=ids).last_hidden_state.mean(1)[0].tolist()
            assert found == pytest.approx(right, abs=1e-5)
    assert "the model itself answers such" not in served.log
    assert served.stop() == 0
