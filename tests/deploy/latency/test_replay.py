"""Requests are posted once each, as many at once as was said, and Ctrl-C keeps what there is."""

import signal
import threading

import pytest

from deploy.latency.replay import replay
from deploy.target import Answer, CloudError, Request

REQUESTS = [Request(str(number).encode()) for number in range(20)]


def echo(request):
    return Answer(request.body, "text/plain")


def test_every_request_is_answered_once_and_counted():
    counted = []
    replayed = replay(echo, REQUESTS, 3, lambda done, state: counted.append((done, state)))
    assert sorted(int(answer.body) for answer in replayed.answers) == [*range(20)]
    assert counted[-1] == (20, "20 of 20") and len(counted) == 20
    assert (replayed.failures, replayed.stopped) == ((), False)


def test_as_many_are_under_way_at_once_as_was_said_and_no_more():
    meet, inside, most = threading.Barrier(4, timeout=10), [], []

    def call(request):
        inside.append(request)
        most.append(len(inside))
        meet.wait()
        inside.remove(request)
        return echo(request)

    assert len(replay(call, REQUESTS, 4, lambda *_: None).answers) == 20
    assert max(most) == 4


def test_a_request_that_the_cloud_refuses_is_a_failure_and_the_others_go_on():
    def call(request):
        if request.body == b"7":
            raise CloudError("no")
        return echo(request)

    replayed = replay(call, REQUESTS, 2, lambda *_: None)
    assert len(replayed.answers) == 19
    assert [str(failure) for failure in replayed.failures] == ["no"]


def test_a_mistake_of_ours_in_a_thread_is_raised():
    def call(request):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        replay(call, REQUESTS, 2, lambda *_: None)


def test_ctrl_c_keeps_the_answers_before_it_and_does_not_wait_for_the_others():
    never = threading.Event()
    asked = []

    def call(request):
        asked.append(request)
        if request is REQUESTS[5]:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            never.wait(20)
        return echo(request)

    replayed = replay(call, REQUESTS, 1, lambda *_: None)
    assert replayed.stopped and not never.is_set()
    assert len(replayed.answers) <= 5 and len(asked) == 6
    never.set()
