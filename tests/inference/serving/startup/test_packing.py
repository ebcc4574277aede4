"""A transformers encoder that is asked without padding answers as it does, or is not asked so."""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from encoders import WORDS, encoder

from inference.serving.startup import packing
from inference.serving.startup.packed_forward import NotPacked
from inference.serving.startup.packing import Packed

LENGTHS = (3, 20, 1, 7, 33)


def texts(*lengths: int) -> dict[str, torch.Tensor]:
    """A call's arguments: texts of so many tokens, padded on the right with what is no zero."""
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]).long()
    generator = torch.Generator().manual_seed(7)
    ids = torch.randint(3, WORDS, mask.shape, generator=generator)
    return {"input_ids": ids, "attention_mask": mask}


def asked(model: Any, **call: Any) -> Any:
    with torch.inference_mode():
        return model(**call)


class Watched:
    """A packed model, and how many calls went to the model itself."""

    def __init__(self, model: Any) -> None:
        self.fallen = 0
        self.packed = Packed(model, packing.view(model), self._fallback)
        self._model = model

    def _fallback(self, *args: Any, **kwargs: Any) -> Any:
        self.fallen += 1
        return self._model(*args, **kwargs)


@pytest.fixture(scope="module")
def bert() -> Any:
    return encoder("BertModel")


@pytest.mark.parametrize(
    "name",
    [
        "BertModel",
        "BertForSequenceClassification",
        "BertForTokenClassification",
        "RobertaModel",  # whose positions begin at two
        "ElectraModel",
        "ModernBertModel",  # with windows of attention, and positions as angles
        "ModernBertForSequenceClassification",
    ],
)
def test_ragged_texts_are_answered_as_the_model_answers_them(name):
    model = encoder(name, **({"pad_token_id": 1} if name == "RobertaModel" else {}))
    call = texts(*LENGTHS)
    if name == "RobertaModel":
        call["input_ids"] = call["input_ids"].where(call["attention_mask"] == 1, 1)
    expected, found = asked(model, **call), asked(packing.view(model, long=True), **call)
    assert type(found) is type(expected)
    assert list(found) == list(expected)
    mask = call["attention_mask"].bool()
    for key, right in expected.items():
        of_tokens = right.shape[:2] == mask.shape
        assert found[key].shape == right.shape
        torch.testing.assert_close(*(one[mask] if of_tokens else one for one in (found[key], right)))


def test_what_stands_at_padding_is_zero(bert):
    call = texts(2, 5)
    found = asked(packing.view(bert), **call).last_hidden_state
    assert not found[0, 2:].any()
    assert found[0, :2].all()


def test_token_types_are_packed_as_well(bert):
    call = texts(*LENGTHS)
    call["token_type_ids"] = (torch.arange(max(LENGTHS)) % 2).expand(len(LENGTHS), -1)
    expected, found = asked(bert, **call), asked(packing.view(bert), **call)
    torch.testing.assert_close(found.pooler_output, expected.pooler_output)
    plain = asked(bert, **{**call, "token_type_ids": None}).pooler_output
    assert not torch.allclose(expected.pooler_output, plain)


def test_padding_is_not_computed(bert):
    packed, seen = packing.view(bert), []
    packed.embeddings.register_forward_hook(lambda _, __, embedded: seen.append(tuple(embedded.shape)))
    asked(packed, **texts(*LENGTHS))
    assert seen == [(1, sum(LENGTHS), 32)]


def test_the_weights_are_the_models_own_and_the_model_stays_as_it_is(bert):
    before = bert.config._attn_implementation
    packed = packing.view(bert)
    for (name, one), (_, other) in zip(bert.named_parameters(), packed.named_parameters(), strict=True):
        assert one is other, name
    assert bert.config._attn_implementation == before
    assert "forward" not in vars(bert)


def left(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "attention_mask": call["attention_mask"].flip(1)}


def with_half(call: dict[str, Any]) -> dict[str, Any]:
    return {**call, "attention_mask": call["attention_mask"] * 0.5}


@pytest.mark.parametrize(
    "changed",
    [
        left,
        with_half,
        lambda call: {**call, "attention_mask": None},
        lambda call: {**call, "attention_mask": call["attention_mask"] * (torch.arange(7) != 1)},
        lambda call: {**call, "output_attentions": True},
        lambda call: {**call, "output_hidden_states": True},
        lambda call: {**call, "return_dict": False},
        lambda call: {**call, "position_ids": torch.arange(7).flip(0)[None]},
        lambda call: {"attention_mask": call["attention_mask"], "inputs_embeds": torch.ones(3, 7, 32)},
    ],
)
def test_a_call_that_is_not_understood_is_the_models_own(changed):
    model = encoder("BertModel", attn_implementation="eager")
    watched = Watched(model)
    call = changed(texts(3, 7, 2))
    expected, found = asked(model, **call), asked(watched.packed, **call)
    assert watched.fallen == 1
    assert type(found) is type(expected)
    torch.testing.assert_close(found[0], expected[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    "changed",
    [
        lambda call: call,
        lambda call: {**call, "return_dict": True, "output_attentions": False, "inputs_embeds": None},
        lambda call: {**call, "attention_mask": call["attention_mask"].bool()},
        lambda call: {**call, "attention_mask": call["attention_mask"].float()},
    ],
)
def test_a_call_that_asks_for_nothing_more_is_packed(bert, changed):
    watched = Watched(bert)
    call = texts(3, 7, 2)
    found = asked(watched.packed, **changed(call))
    assert watched.fallen == 0
    torch.testing.assert_close(found.pooler_output, asked(bert, **call).pooler_output)


def test_arguments_may_be_given_by_their_places(bert):
    watched, call = Watched(bert), texts(3, 7)
    with torch.inference_mode():
        found = watched.packed(*call.values()).pooler_output
    assert watched.fallen == 0
    torch.testing.assert_close(found, asked(bert, **call).pooler_output)


def test_a_model_that_learns_is_asked_itself(bert):
    model = copy.deepcopy(bert)
    watched = Watched(model)
    model.train()
    asked(watched.packed, **texts(3, 7))
    assert watched.fallen == 1


def test_whatever_else_is_asked_of_it_is_the_models(bert):
    assert Watched(bert).packed.config is bert.config


def test_two_threads_do_not_mix_their_texts(bert):
    packed, wrong = packing.view(bert), []
    calls = [texts(3, 7, 1), texts(4, 4, 30, 2)]
    right = [asked(bert, **call).pooler_output for call in calls]

    def ask(call: dict[str, Any], expected: torch.Tensor) -> None:
        for _ in range(30):
            if not torch.allclose(asked(packed, **call).pooler_output, expected, atol=1e-5):
                wrong.append(call)

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(calls, right, strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def mixing() -> Any:
    """An encoder that lets neighbours see each other, whoever's they are."""
    model = encoder("BertModel")
    model.encoder.register_forward_pre_hook(lambda _, args: (args[0] + args[0].roll(1, 1),))
    return model


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: torch.nn.Linear(2, 2), "Linear is no model of transformers, which is what can be asked"),
        (lambda: encoder("BertModel", is_decoder=True), "BertModel is a decoder; expected an encoder"),
        (lambda: encoder("LlamaModel"), "attends to what came before alone, as decoders do"),
        (lambda: encoder("BertModel").train(), "is in training mode; expected self.model.eval"),
        (lambda: encoder("MPNetModel"), "MPNetModel: its attention cannot be replaced"),
        (lambda: encoder("FNetModel"), "FNetModel takes no attention_mask"),
        (lambda: encoder("AlbertModel", embedding_size=16), "answers otherwise when it is asked without"),
        (mixing, "answers otherwise when it is asked without padding"),
    ],
)
def test_what_cannot_be_packed_says_why_in_a_line(make: Callable[[], Any], sentence: str):
    with pytest.raises(NotPacked, match=sentence) as raised:
        packing.view(make())
    assert "\n" not in str(raised.value)


def test_without_transformers_there_is_nothing_to_pack(monkeypatch, bert):
    monkeypatch.delitem(__import__("sys").modules, transformers.__name__)
    with pytest.raises(NotPacked, match="is no model of transformers"):
        packing.view(bert)
