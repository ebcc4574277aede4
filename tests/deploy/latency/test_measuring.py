"""The stages together, on calls that answer, refuse or say nothing."""

import re

import pytest

from deploy.latency import LatencyError, table
from deploy.latency.measuring import Order, measure
from deploy.target import CloudError, Request

REQUESTS = [Request(b"1"), Request(b"2")]


def test_the_container_is_asked_to_tell_and_the_first_call_of_each_connection_is_not_counted(answer, capsys):
    asked = []

    def call(request):
        asked.append(request)
        return answer(10.0, predict=4.0)

    measure(call, Order(REQUESTS, 3, 2), {})
    assert all(request.timed for request in asked)
    assert sorted(request.body for request in asked) == [b"1"] * 5 + [b"2"] * 3
    assert "6 answers, 2 at once" in capsys.readouterr().out


def test_without_phases_the_whole_is_told_and_a_phase_s_budget_does_not_pass(answer, capsys):
    with pytest.raises(LatencyError, match="predict could not be held against anything"):
        measure(lambda _: answer(10.0), Order(REQUESTS, 3, 1), {"whole": 20, "predict": 20})
    told = capsys.readouterr().out
    assert table.UNTOLD in told and re.search(r"^whole +10\.00 +10\.00 +10\.00", told, re.MULTILINE)


def test_requests_that_are_not_answered_are_counted_after_the_table(answer, capsys):
    asked = []

    def call(request):
        asked.append(request)
        if len(asked) > 5:
            raise CloudError("throttled")
        return answer(10.0, predict=4.0)

    with pytest.raises(LatencyError, match="^2 of 6 requests were not answered: throttled$"):
        measure(call, Order(REQUESTS, 3, 1), {})
    assert "4 answers, 1 at once" in capsys.readouterr().out


def test_an_endpoint_that_answers_nothing_is_asked_once(capsys):
    asked = []

    def call(request):
        asked.append(request)
        raise CloudError("not there")

    with pytest.raises(CloudError, match="^not there$"):
        measure(call, Order(REQUESTS, 100, 1), {})
    assert len(asked) == 1 and capsys.readouterr().out == ""
