"""A handler's file, loaded in this process: what is missing is named, and so is the user's exception."""

from __future__ import annotations

import sys

import pytest

from inference.serving import exchange
from inference.serving.errors import StartError
from inference.serving.startup import loading, samples

GOOD = "class Handler:\n    def load(self, model_dir): pass\n    def predict(self, inputs): return inputs\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Load a handler from its text, and answer its samples."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "code").mkdir()

    def loaded(text, lines=None):
        (tmp_path / "code/handler.py").write_text(text)
        if lines is not None:
            (tmp_path / "code/samples.jsonl").write_text(lines)
        predictor = loading.load(tmp_path)
        samples.check(lambda sample: exchange.attempt(predictor, sample, {}), tmp_path)
        return predictor

    yield loaded
    sys.modules.pop("handler", None)


def test_a_handler_needs_load_and_predict_and_nothing_else(load):
    assert load(GOOD, "1\n2\n").predictions([1], {}) == [1]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("x = 1\n", "has no class Handler"),
        ("Handler = 1\n", "has no class Handler"),
        ("class Handler:\n    def load(self, d): pass\n", "class Handler has no predict"),
        ("class Handler:\n    def predict(self, x): return x\n", "class Handler has no load"),
        ("import xgboost_of_old\n" + GOOD, "belongs in inference/requirements.txt"),
        ("1 / 0\n" + GOOD, "importing it raised ZeroDivisionError"),
        (GOOD + "    def __init__(self, x): pass\n", r"Handler\(\) raised TypeError"),
        (GOOD + "    preprocess = 5\n", "Handler.preprocess is 5"),
        (GOOD.replace("    def predict", "    async def predict"), "Handler.predict is async"),
        (GOOD.replace("    def load", "    async def load"), "Handler.load is async"),
        (GOOD.replace("pass", "yield"), "Handler.load is a generator, which predict alone may be"),
        (
            GOOD.replace("    def predict", "    async def predict").replace("return", "yield"),
            "Handler.predict is async",
        ),
        (GOOD.replace("(self, inputs)", "(self)"), "Handler.predict takes no argument"),
        (GOOD.replace("inputs)", "inputs: dict)"), "takes <class 'dict'>; expected list"),
    ],
)
def test_what_is_wrong_with_a_handler_is_one_sentence(load, text, sentence):
    with pytest.raises(StartError, match=sentence) as caught:
        load(text)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "lines", "sentence"),
    [
        (
            GOOD.replace("return inputs", "return inputs[1:]"),
            "1\n",
            "line 1: predict returned 0 predictions for 1",
        ),
        (GOOD.replace("return inputs", "return 5"), "1\n", "predict returned int 5; expected a list"),
        (GOOD.replace("return inputs", "return [float('nan')]"), "1\n", "line 1: prediction 0 is nan"),
        (GOOD.replace("return inputs", "return [{1, 2}]"), "1\n", "cannot be written as JSON"),
        (GOOD, "1\n\n2\n", "line 2"),
        (GOOD, "", "line 1: holds no instance"),
        (
            GOOD + "    def preprocess(self, x): return [i['a'] for i in x]\n",
            "{}\n",
            "preprocess: KeyError: 'a'",
        ),
    ],
)
def test_a_sample_that_is_not_answered_is_named(load, text, lines, sentence):
    with pytest.raises(StartError, match=sentence):
        load(text, lines)


def test_the_handlers_own_exception_is_kept_for_its_traceback(load):
    with pytest.raises(StartError) as caught:
        load(GOOD.replace("return inputs", "raise RuntimeError('mine')"), "1\n")
    assert isinstance(caught.value.__cause__, RuntimeError)
