"""The queue between the event loop and the model's thread."""

from __future__ import annotations

import threading

import pytest

from inference.serving.codecs import media
from inference.serving.counting.board import Board
from inference.serving.errors import Unavailable
from inference.serving.exchange import Request
from inference.serving.microbatching.batcher import Batcher, Job
from inference.serving.microbatching.window import Window

REQUEST = Request(b"1", media.ContentType(media.JSON), media.Accepted(media.JSON, media.JSON))


def jobs(count: int) -> list[Job]:
    return [Job(REQUEST, lambda reply: None) for _ in range(count)]


def batcher(most: int) -> Batcher:
    return Batcher(most, Board(1).slots[0])


def test_who_came_first_is_taken_first_and_no_more_than_asked_for():
    queue, waiting = batcher(3), jobs(3)
    for job in waiting:
        queue.submit(job)
    assert queue.take(2, Window(0)) == waiting[:2]
    assert queue.take(2, Window(0)) == waiting[2:]


def test_one_more_than_fits_is_refused_and_changes_nothing():
    queue, (first, second) = batcher(1), jobs(2)
    queue.submit(first)
    with pytest.raises(Unavailable, match="1 requests are waiting already"):
        queue.submit(second)
    assert queue.take(9, Window(0)) == [first]


def test_the_bound_is_of_all_workers_together():
    board = Board(2)
    first, second = (Batcher(1, slot) for slot in board.slots)
    first.submit(jobs(1)[0])
    with pytest.raises(Unavailable):
        second.submit(jobs(1)[0])


def test_a_job_that_is_withdrawn_frees_its_place_and_is_never_taken():
    queue, (first, second, third) = batcher(2), jobs(3)
    queue.submit(first)
    queue.submit(second)
    queue.withdraw(first)
    queue.withdraw(first)
    queue.submit(third)
    assert queue.take(9, Window(0)) == [second, third]


def test_what_is_taken_cannot_be_withdrawn_any_more():
    queue, (first, second) = batcher(1), jobs(2)
    queue.submit(first)
    assert queue.take(9, Window(0)) == [first]
    queue.withdraw(first)
    queue.submit(second)
    with pytest.raises(Unavailable):
        queue.check_room()


def test_closing_drops_what_waits_and_ends_the_thread():
    queue = batcher(2)
    taken = []
    thread = threading.Thread(target=lambda: taken.append(queue.take(9, Window(0))))
    thread.start()
    queue.close()
    thread.join(10)
    assert taken == [None]
    queue.submit(jobs(1)[0])
    assert queue.take(9, Window(0)) is None


def test_a_thread_that_expects_more_waits_for_them():
    queue, window, (first, second) = batcher(9), Window(60), jobs(2)
    for _ in range(20):
        window.learn(2, 30.0)
    queue.submit(first)
    later = threading.Timer(0.05, queue.submit, (second,))
    later.start()
    assert queue.take(9, window) == [first, second]


def test_a_lone_request_never_waits():
    window = Window(60)
    for _ in range(20):
        window.learn(1, 30.0)
    assert window.wait_s == 0
    queue, (first,) = batcher(9), jobs(1)
    queue.submit(first)
    assert queue.take(9, window) == [first]


def test_the_window_forgets_a_crowd_that_has_gone():
    window = Window(60)
    window.learn(32, 0.01)
    assert window.expected > 1 and 0 < window.wait_s < 60
    for _ in range(40):
        window.learn(1, 0.01)
    assert (window.expected, window.wait_s) == (1, 0)


def test_the_setting_bounds_the_window():
    window = Window(0.001)
    window.learn(32, 10.0)
    assert window.wait_s == 0.001
