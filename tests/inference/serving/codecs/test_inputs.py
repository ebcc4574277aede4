"""What the annotation of a handler's first step makes of its instances, and what results may be."""

from __future__ import annotations

import json
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch

from inference.serving import codecs
from inference.serving.codecs import Shape, inputs, media, outputs
from inference.serving.errors import BadBody, BadPredictions, StartError
from inference.serving.startup import loading


def served(annotation: str, tmp_path, monkeypatch):
    """A loaded handler whose predict takes instances as annotated and keeps what it got."""
    monkeypatch.setattr("sys.path", ["", *sys.path])
    (tmp_path / "code").mkdir()
    (tmp_path / "code/handler.py").write_text(
        "from __future__ import annotations\n"
        "from typing import Any, Sequence\nfrom numpy.typing import NDArray\n"
        "import numpy as np, pandas as pd, torch\n"
        "class Handler:\n    def load(self, model_dir): assert isinstance(model_dir, str)\n"
        f"    def predict(self, inputs{annotation}): self.got = inputs; return inputs\n"
    )
    return loading.load(tmp_path)


@pytest.mark.parametrize(
    ("annotation", "kind"),
    [
        ("", list),
        (": list", list),
        (": list[dict[str, Any]]", list),
        (": Sequence[float]", list),
        (": Any", list),
        (": np.ndarray", np.ndarray),
        (": NDArray[np.float32]", np.ndarray),
        (": torch.Tensor", torch.Tensor),
        (": pd.DataFrame", pd.DataFrame),
    ],
)
@pytest.mark.parametrize("instances", [[[1.5, 2.0], [3.0, 4.0]], np.array([[1.5, 2.0], [3.0, 4.0]])])
def test_the_annotation_says_what_the_first_step_gets(annotation, kind, instances, tmp_path, monkeypatch):
    predictor = served(annotation, tmp_path, monkeypatch)
    predictions = predictor.predictions(instances, {})
    got = predictor.predict.__self__.got
    assert type(got) is kind
    assert np.asarray(got).tolist() == [[1.5, 2.0], [3.0, 4.0]]
    assert len(json.loads(codecs.encode(predictions, Shape.LIST, media.JSON))) == 2


@pytest.mark.parametrize(
    ("convert", "instances", "words"),
    [
        (inputs.to_array, ["a" * 1_000_000, *["b"] * 100], "too much for one array"),
        (inputs.to_array, [1, "a" * 1_000_000, *[1] * 100_000], "not all numbers"),
        (inputs.to_frame, [{str(number): 1} for number in range(4000)], "nearly all empty"),
        (inputs.to_frame, [[1] * 20_000, *[[1]] * 1000], "nearly all empty"),
    ],
)
def test_a_small_body_does_not_become_a_huge_array(convert, instances, words):
    tracemalloc.start()
    try:
        with pytest.raises(BadBody, match=words):
            convert(instances)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


def test_deep_nesting_is_the_callers_mistake():
    deep = "x"
    for _ in range(1000):
        deep = [deep]
    with pytest.raises(BadBody):
        inputs.to_array(deep)


@pytest.mark.parametrize("annotation", [": dict", ": str | list", ": Missing", ": int"])
def test_an_annotation_that_says_something_else_is_refused(annotation, tmp_path, monkeypatch):
    with pytest.raises(StartError, match=r"Handler\.predict"):
        served(annotation, tmp_path, monkeypatch)


def test_floats_from_text_have_the_type_that_weights_have():
    assert inputs.to_tensor([[1.5]]).dtype == torch.float32
    assert inputs.to_tensor([[1]]).dtype == torch.int64
    assert inputs.to_tensor(np.array([[1.5]])).dtype == torch.float64


def test_objects_and_named_rows_make_columns():
    frame = inputs.to_frame([{"a": 1, "b": "x"}, {"a": 2, "b": None}])
    assert list(frame.columns) == ["a", "b"]


@pytest.mark.parametrize("convert", [inputs.to_array, inputs.to_tensor])
@pytest.mark.parametrize("instances", [[[1, 2], [3]], [1, None], [1, "a"], [{"a": 1}], [[2**70]], ["a", [1]]])
def test_instances_that_make_no_array_are_the_callers_mistake(convert, instances):
    with pytest.raises(BadBody, match="instances"):
        convert(instances)


def test_texts_make_an_array_but_no_tensor():
    assert inputs.to_array(["a", "b"]).tolist() == ["a", "b"]
    with pytest.raises(BadBody, match="not numbers"):
        inputs.to_tensor(["a"])


def test_instances_that_make_no_frame_are_the_callers_mistake():
    with pytest.raises(BadBody, match="pandas.DataFrame"):
        inputs.to_frame(np.zeros((2, 2, 2)))


@pytest.mark.parametrize(
    ("returned", "written"),
    [
        (torch.tensor([[0.5], [1.5]], requires_grad=True), [[0.5], [1.5]]),
        (torch.tensor([1.5, 2.5], dtype=torch.bfloat16), [1.5, 2.5]),
        ([torch.tensor(1.5), {"p": torch.tensor([2])}], [1.5, {"p": [2]}]),
        (np.arange(4).reshape(2, 2).T, [[0, 2], [1, 3]]),
        (np.array([1, 2], dtype=">i4"), [1, 2]),
        (np.array(["a", "b"]), ["a", "b"]),
        (np.array([1, 2], dtype="f2"), [1, 2]),
        ((1, 2), [1, 2]),
        (pd.DataFrame({"a": [1, 2]}), [{"a": 1}, {"a": 2}]),
        (pd.Series([1.5, 2.5]), [1.5, 2.5]),
    ],
)
def test_results_of_numpy_torch_and_pandas_are_written_as_they_are(returned, written):
    predictions = outputs.predictions(returned, 2, "predict")
    assert json.loads(codecs.encode(predictions, Shape.LIST, media.JSON)) == written


@pytest.mark.parametrize("bad", [torch.tensor([1.0, float("nan")]), [1, {"p": torch.tensor([float("inf")])}]])
def test_tensors_that_are_not_finite_are_found(bad):
    with pytest.raises(BadPredictions, match="prediction 1 is"):
        codecs.encode(outputs.predictions(bad, 2, "predict"), Shape.LIST, media.JSON)


def test_a_number_alone_is_no_batch():
    for alone in (np.float64(1), np.array(1.0), torch.tensor(1.0)):
        with pytest.raises(BadPredictions, match="one prediction an instance"):
            outputs.predictions(alone, 1, "predict")
