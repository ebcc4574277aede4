"""Which module of a handler is the model, and how the samples call it."""

from __future__ import annotations

import pytest
import torch

from inference.serving.codecs import inputs
from inference.serving.optimize.recording import NotOptimized, record
from inference.serving.predictor import Predictor

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]


def recorded(handler: object) -> object:
    return record(Predictor(inputs.to_tensor, None, handler.predict, None), ROWS)


class Small:
    def __init__(self) -> None:
        self.scale, self.model = torch.nn.Linear(2, 2), torch.nn.Linear(2, 64)
        self.unused = torch.nn.Linear(1000, 1000)

    def predict(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.inference_mode():
            return self.model(self.scale(rows))


def test_the_largest_module_that_the_samples_call_is_the_model():
    found = recorded(Small())
    assert found.attribute == "model"
    assert found.others == ("scale",)


def test_batches_of_several_sizes_show_what_changes():
    found = recorded(Small())
    assert {call.args[0].shape[0] for call in found.calls} >= {1, 2, 3, 7, 8}


def test_what_is_recorded_may_be_traced_and_nobody_else_changes_it():
    assert not any(call.args[0].is_inference() for call in recorded(Small()).calls)


def test_nothing_listens_any_more_afterwards():
    handler = Small()
    recorded(handler)
    assert not handler.model._forward_hooks


def test_a_handler_without_a_module_is_told_what_is_expected():
    class Plain:
        def predict(self, rows: torch.Tensor) -> torch.Tensor:
            return rows

    with pytest.raises(NotOptimized, match="no torch module after load; expected one in an attribute"):
        recorded(Plain())


def test_a_module_that_is_not_called_itself_is_named():
    class Inside(Small):
        def predict(self, rows: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.linear(rows, self.model.weight)

    with pytest.raises(NotOptimized, match=r"no sample calls self\.scale or self\.model"):
        recorded(Inside())
