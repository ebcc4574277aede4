"""Percentiles and shares are arithmetic, and are held to answers that were made by hand."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.latency import shares
from deploy.latency.parts import FIRST, NETWORK, PARTS, STREAM, WHOLE
from deploy.latency.shares import percentile


def row(answers, name):
    (found,) = [row for row in shares.rows(answers) if row.name == name]
    return found


@pytest.mark.parametrize(("at", "value"), [(1, 1), (50, 50), (95, 95), (99, 99), (100, 100)])
def test_a_percentile_of_1_to_100_is_that_number(at, value):
    assert percentile([*range(100, 0, -1)], at) == value


@given(st.lists(st.floats(0, 1000), min_size=1, max_size=200), st.sampled_from([50, 95, 99]))
def test_a_percentile_is_a_value_that_enough_values_do_not_exceed(values, at):
    found = percentile(values, at)
    below = sum(value <= found for value in values)
    assert found in values and below * 100 >= at * len(values)
    assert sum(value < found for value in values) * 100 < at * len(values)


def test_the_network_has_what_the_phases_leave_of_the_whole(answer):
    assert shares.spent(answer(10.0, queue=1.0, predict=6.0)) == {
        WHOLE: 10.0,
        NETWORK: 3.0,
        "queue": 1.0,
        "predict": 6.0,
    }
    assert shares.spent(answer(10.0)) == {WHOLE: 10.0}
    assert shares.spent(answer(10.0, predict=10.5))[NETWORK] == 0.0
    assert shares.spent(answer(2.0, batch=0)) == {WHOLE: 2.0, NETWORK: 2.0}


def test_each_part_is_followed_by_its_phases(answer):
    names = [row.name for row in shares.rows([answer(10.0, first_ms=8.0, predict=6.0)])]
    assert names == [WHOLE, FIRST, *(name for part, names in PARTS.items() for name in (part, *names))]


def test_of_answers_that_come_whole_there_is_no_first_piece_and_no_rest(answer):
    names = {row.name for row in shares.rows([answer(10.0, predict=6.0)])}
    assert names.isdisjoint({FIRST, STREAM, "pieces after the first"})


def test_of_answers_in_pieces_the_phases_and_the_network_are_those_until_the_first(answer):
    two = [answer(10.0, first_ms=4.0, predict=3.0), answer(20.0, first_ms=6.0, predict=3.0)]
    assert shares.spent(two[0]) == {WHOLE: 10.0, NETWORK: 1.0, "predict": 3.0, STREAM: 6.0}
    assert row(two, FIRST) == shares.Row(FIRST, (4.0, 6.0, 6.0))
    assert row(two, STREAM).ms == (6.0, 14.0, 14.0)
    assert row(two, STREAM).shares[1] == pytest.approx(0.7)
    assert [one.name for one in shares.rows([answer(3.0, first_ms=1.0)])] == [WHOLE, FIRST]


def test_a_part_is_the_sum_of_its_phases_in_each_answer(answer):
    # In one answer decode is slow, in the other preprocess: their percentiles would add up to 18.
    two = [answer(12.0, decode=9.0, preprocess=1.0), answer(12.0, decode=1.0, preprocess=9.0)]
    assert row(two, "data input time").ms == (10.0, 10.0, 10.0)
    assert row(two, "decode").ms[1] + row(two, "preprocess").ms[1] == 18.0


def test_a_share_is_that_of_the_answers_around_the_percentile(answer):
    quick = [answer(10.0, predict=8.0) for _ in range(90)]
    slow = [answer(100.0, queue=90.0, predict=8.0) for _ in range(10)]
    assert row(quick + slow, "predict").shares == pytest.approx((0.8, 0.08, 0.08))
    assert row(slow + quick, "queue").shares == pytest.approx((0.0, 0.9, 0.9))


TIMES = st.lists(st.tuples(*[st.floats(0, 50)] * 4), min_size=1, max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(times=TIMES)
def test_the_shares_of_all_phases_make_up_the_whole(answer, times):
    answers = [answer(sum(each), decode=each[0], predict=each[1], encode=each[2]) for each in times]
    phases = [row for row in shares.rows(answers) if row.name not in {WHOLE, *PARTS}]
    for at in range(3):
        total = sum(row.shares[at] for row in phases)
        assert total == pytest.approx(1) or total == 0


def test_where_no_phases_were_told_there_is_the_whole_alone(answer):
    (whole,) = shares.rows([answer(3.0), answer(5.0)])
    assert whole == shares.Row(WHOLE, (3.0, 5.0, 5.0))


def test_phases_are_those_of_the_answers_that_told_them(answer):
    some = [answer(10.0, predict=5.0), answer(99.0)]
    assert row(some, WHOLE).ms == (10.0, 99.0, 99.0)
    assert row(some, "predict").ms == (5.0, 5.0, 5.0)
    assert row(some, "predict").shares == (0.5, 0.5, 0.5)
