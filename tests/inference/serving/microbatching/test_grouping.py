"""What shares a call is what costs least, by prices that the calls themselves have told."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from inference.serving.microbatching.grouping import Costs, Prices, Size, cut


def sizes(*lengths):
    return [Size(1, float(length)) for length in lengths]


def cost(group, prices):
    longest = max(one.length for one in group)
    return prices.call + prices.padding * sum(one.instances * (longest - one.length) for one in group)


def every_cut(count):
    for mask in range(2 ** (count - 1)):
        ends = [0, *(place + 1 for place in range(count - 1) if mask >> place & 1), count]
        yield [slice(*ends) for ends in pairwise(ends)]


@pytest.mark.parametrize("seed", range(40))
def test_no_other_cut_costs_less(seed):
    chance = random.Random(seed)
    given = sorted(
        (Size(chance.randint(1, 3), chance.expovariate(0.02)) for _ in range(9)), key=lambda one: one.length
    )
    prices = Prices(chance.choice([0.0, 1.0, 30.0, 200.0]), chance.choice([0.0, 0.3, 1.0]))

    def total(cuts):
        return sum(cost(given[those], prices) for those in cuts)

    assert total(cut(given, prices, 64)) == pytest.approx(min(map(total, every_cut(9))))


def test_all_that_fits_shares_a_call_where_padding_is_free():
    cuts = cut(sizes(1, 5, 70, 900, 1000), Prices(1.0, 0.0), 2)
    assert sorted(those.stop - those.start for those in cuts) == [1, 2, 2]
    assert cut(sizes(1, 5, 70, 900, 1000), Prices(1.0, 0.0), 64) == [slice(0, 5)]


def test_only_equals_share_a_call_that_costs_nothing_by_itself():
    assert cut(sizes(3, 3, 4, 4, 4), Prices(0.0, 1.0), 64) == [slice(0, 2), slice(2, 5)]


def test_a_request_of_more_instances_than_a_call_has_is_a_call():
    assert cut([Size(9, 1.0), Size(1, 1.0)], Prices(1.0, 1.0), 4) == [slice(0, 1), slice(1, 2)]


def learned(call, length, padding, noise=0.0):
    """The padding that costs as much as a call, as calls of a model with these prices tell it."""
    chance = random.Random(0)
    costs = Costs()
    for _ in range(300):
        group = sizes(*(chance.randint(20, 900) for _ in range(chance.randint(1, 6))))
        longest = max(one.length for one in group)
        filled = sum(one.length for one in group)
        seconds = call + length * filled + padding * (len(group) * longest - filled)
        costs.learn(group, seconds * (1 + noise * chance.uniform(-1, 1)))
    found = costs.prices(300.0)
    return found.call / found.padding if found.padding else float("inf")


@pytest.mark.parametrize("noise", [0.0, 0.3])
@pytest.mark.parametrize(("call", "padding"), [(0.012, 0.0001), (0.002, 0.0001), (0.05, 0.00005)])
def test_the_prices_are_learned_from_the_calls(call, padding, noise):
    assert learned(call, 0.0001, padding, noise) == pytest.approx(call / padding, rel=0.1 + noise)


def test_padding_that_costs_nothing_is_found_to_cost_nothing():
    assert learned(0.01, 0.0001, 0.0) > 10_000


def test_before_any_call_one_costs_as_much_as_a_usual_request():
    assert Costs().prices(120.0) == Prices(120.0, 1.0)


def test_calls_of_one_size_alone_leave_it_at_about_that():
    costs = Costs()
    for _ in range(200):
        costs.learn(sizes(100, 100), 0.02)
    found = costs.prices(100.0)
    assert 30 < found.call / found.padding < 300


def test_what_is_no_more_true_is_forgotten():
    costs = Costs()
    for call in (0.1, 0.005):
        for number in range(500):
            group = sizes(*range(100, 100 + 100 * (1 + number % 4), 100))
            total = len(group) * group[-1].length
            costs.learn(group, call + 0.0001 * total)
    found = costs.prices(200.0)
    assert found.call / found.padding == pytest.approx(50, rel=0.3)
