"""How far answers are apart, in figures that mean something for vectors, numbers, classes and texts."""

from __future__ import annotations

import math

import pytest

from inference.serving.optimize.answers import Difference, compared, shown, worst


def test_equal_answers_are_not_apart():
    answers = [[1.0, 2.0], {"class": "a", "score": 0.5}, "text", 3, None]
    assert compared(answers, answers) == Difference(1.0, 0.0, 1.0)


def test_the_smallest_cosine_of_all_predictions_counts():
    found = compared([[1.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]])
    assert found.cosine == pytest.approx(math.sqrt(0.5))
    assert found.largest == 1.0


def test_a_single_number_is_held_against_the_largest_of_the_samples():
    # Their cosine would be 1.
    assert compared([[11.0], [100.0]], [[10.0], [100.0]]).cosine == pytest.approx(0.99)
    assert compared([11.0, 100.0], [10.0, 100.0]).cosine == pytest.approx(0.99)


def test_another_sign_is_no_small_difference():
    assert compared([[1.0, 1.0]], [[-1.0, -1.0]]).cosine == pytest.approx(-1)


@pytest.mark.parametrize(
    ("found", "right"),
    [
        ("yes", "no"),
        (1, 2),
        ({"class": 1, "score": 0.5}, {"class": 2, "score": 0.5}),
        ({"score": 0.5}, {"points": 0.5}),
        ([0.5, 0.5], [0.5]),
        (None, 0.5),
    ],
)
def test_texts_classes_and_forms_are_equal_or_not(found, right):
    assert compared(["same", found], ["same", right]).equal == 0.5


def test_what_is_no_number_is_far_from_every_number():
    assert compared([[math.nan, 1.0]], [[1.0, 1.0]]).cosine == -1
    assert compared([[math.inf, 1.0]], [[1.0, 1.0]]).largest == math.inf


def test_another_count_is_as_wrong_as_can_be():
    assert compared([1.0], [1.0, 2.0]).equal == 0


def test_of_two_differences_the_worse_of_each_counts():
    assert worst(Difference(0.9, 0.1, 1.0), Difference(0.99, 0.5, 0.5)) == Difference(0.9, 0.5, 0.5)


def test_a_cosine_is_never_shown_as_more_than_it_is():
    assert shown(0.998996) == "0.99899"
    assert shown(0.9999999999) == "1.00000"
