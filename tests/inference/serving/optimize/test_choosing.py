"""Of the rows the fastest whose answers stay; never silently another."""

from __future__ import annotations

from inference.serving.optimize.answers import Difference
from inference.serving.optimize.choosing import choose, named
from inference.serving.optimize.rows import Row

SAME = Difference(1.0, 0.0, 1.0)


def row(kind: str, times: float, difference: Difference = SAME, **other: object) -> Row:
    return Row(kind, rates={1: (100.0, 50.0), 8: (200.0, 200.0 * times)}, difference=difference, **other)


def test_the_fastest_whose_answers_are_near_enough_is_chosen():
    far = row("int8", 3.0, Difference(0.98, 0.1, 1.0))
    found = choose([row("a", 1.2), row("b", 1.6), far], 0.999, ())
    assert found.row is not None and found.row.kind == "b"
    assert "1.60 times" in found.why and "batch size 8" in found.why
    loose = choose([row("b", 1.6), far], 0.95, ())
    assert loose.row is far


def test_other_classes_or_texts_are_not_near():
    assert choose([row("int8", 3.0, Difference(1.0, 0.0, 0.9))], 0.999, ()).row is None


def test_a_gain_that_is_not_worth_it_leaves_the_model():
    found = choose([row("a", 1.04)], 0.999, ())
    assert found.row is None
    assert "1.04 times" in found.why


def test_what_is_faster_and_not_near_is_named():
    found = choose([row("int8", 3.0, Difference(0.98, 0.1, 1.0))], 0.999, ())
    assert "the model stays as it is" in found.why
    assert "CHOOSE=name takes one all the same (int8)" in found.why


def test_what_compiles_at_every_start_or_cannot_be_shared_is_chosen_by_its_name_alone():
    assert choose([row("compile", 2.0), row("b", 2.0, forks=False)], 0.999, {"compile"}).row is None


def test_what_is_asked_for_is_taken_and_what_speaks_against_it_is_said():
    far = row("int8", 3.0, Difference(0.98, 0.1, 1.0), forks=False)
    found = named(far, 0.999)
    assert found.row is far
    assert "not within a cosine of 0.999" in found.why and "workers cannot share it" in found.why


def test_what_cannot_be_made_is_not_chosen_by_its_name_either():
    found = named(Row("onnxruntime", "needs onnxruntime"), 0.999)
    assert found.row is None
    assert "needs onnxruntime" in found.why


def test_the_best_batch_size_is_the_smallest_that_does_about_as_much_as_the_best():
    rates = {1: (1.0, 50.0), 4: (1.0, 98.0), 16: (1.0, 100.0)}
    assert Row("a", rates=rates).batch_size == 4


def test_a_gain_is_from_best_to_best():
    # The model itself has a better batch size than the variant's.
    assert Row("a", rates={1: (50.0, 150.0), 8: (100.0, 80.0)}).times == 1.5
