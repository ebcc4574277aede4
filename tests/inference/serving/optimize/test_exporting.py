"""A graph takes the calls that the samples make, at any batch size, and says which others it does not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from inference.serving.optimize.exporting import exported
from inference.serving.optimize.recording import Call, NotOptimized, Recording
from inference.serving.startup.variant import Form, Substitute


class Texts(torch.nn.Module):
    """Positions up to 16, as an encoder has them, and an answer of tensors and a constant."""

    def __init__(self) -> None:
        super().__init__()
        self.words, self.places = torch.nn.Embedding(50, 4), torch.nn.Embedding(16, 4)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, Any]:
        places = self.places.weight[: ids.shape[1]]
        return {"out": (self.words(ids) + places) * mask.unsqueeze(-1), "cache": None}


def recording(*sizes: tuple[int, int], **other: Any) -> Recording:
    module = Texts().eval()
    calls = []
    for rows, length in sizes:
        given = {"ids": torch.ones(rows, length, dtype=torch.long), "mask": torch.ones(rows, length), **other}
        calls.append(Call((), given, module(given["ids"], given["mask"])))
    return Recording("model", module, calls)


@pytest.fixture(scope="module")
def form() -> Form:
    return exported(recording((1, 5), (2, 3), (3, 7))).form


def test_what_changes_is_open_from_one_to_what_the_model_can_take(form):
    assert [leaf.axes for leaf in form.leaves] == [((1, None), (1, 16))] * 2
    assert form.tensors == (0,) and form.constants == (None,)


def test_what_never_changed_is_fixed():
    fixed = exported(recording((1, 5), (2, 5))).form
    assert fixed.leaves[0].axes == ((1, None), (5, 5))


def asked(form: Form, ids: torch.Tensor, **other: Any) -> str:
    model = Texts()
    substitute = Substitute(lambda **_: "model", lambda **_: "variant", form)
    assert Substitute(model, lambda: None, form).words is model.words  # whatever else is asked
    return substitute(ids=ids, mask=torch.ones(ids.shape), **other)


@pytest.mark.parametrize(
    ("ids", "who"),
    [
        (torch.ones(1, 1, dtype=torch.long), "variant"),
        (torch.ones(9, 16, dtype=torch.long), "variant"),
        (torch.ones(9, 17, dtype=torch.long), "model"),
        (torch.ones(9, 16, dtype=torch.int32), "model"),
        (torch.ones(9, 4, 4, dtype=torch.long), "model"),
    ],
)
def test_a_call_of_another_form_is_the_models(form, ids, who):
    assert asked(form, ids) == who


def test_another_argument_is_the_models(form):
    assert asked(form, torch.ones(2, 3, dtype=torch.long), more=1) == "model"


def test_another_constant_is_the_models(form):
    changed = replace(form, leaves=(*form.leaves[:1], replace(form.leaves[1], dtype="", constant=1.0)))
    assert asked(changed, torch.ones(2, 3, dtype=torch.long)) == "model"


def test_calls_of_different_kinds_have_no_graph():
    one, other = recording((1, 5)), recording((2, 5), more=1)
    mixed = Recording("model", one.module, [*one.calls, *other.calls])
    with pytest.raises(NotOptimized, match="arguments of different kinds"):
        exported(mixed)


def test_a_plain_argument_that_changes_has_no_graph():
    one, other = recording((1, 5), more=1), recording((2, 5), more=2)
    mixed = Recording("model", one.module, [*one.calls, *other.calls])
    with pytest.raises(NotOptimized, match="argument 3 of the model is no tensor and changes"):
        exported(mixed)
