"""The queue between the event loop and the model's thread."""

from __future__ import annotations

import threading

import pytest

from inference.serving import media
from inference.serving.batcher import Batcher, Job
from inference.serving.errors import Unavailable
from inference.serving.exchange import Request

REQUEST = Request(b"1", media.ContentType(media.JSON), media.Accepted(media.JSON, media.JSON))


def jobs(count: int) -> list[Job]:
    return [Job(REQUEST, lambda reply: None) for _ in range(count)]


def worked_off(batcher: Batcher, count: int) -> list[Job]:
    """The next jobs, in the order in which the model's thread gets them."""
    seen: list[Job] = []

    def work(job: Job) -> None:
        seen.append(job)
        if len(seen) == count:
            batcher.close()

    batcher.run(work)
    return seen


def test_who_came_first_is_served_first():
    batcher, waiting = Batcher(3), jobs(3)
    for job in waiting:
        batcher.submit(job)
    assert worked_off(batcher, 3) == waiting


def test_one_more_than_fits_is_refused_and_changes_nothing():
    batcher, (first, second) = Batcher(1), jobs(2)
    batcher.submit(first)
    with pytest.raises(Unavailable, match="1 requests are waiting already"):
        batcher.submit(second)
    assert worked_off(batcher, 1) == [first]


def test_a_job_that_is_withdrawn_frees_its_place_and_is_never_done():
    batcher, (first, second, third) = Batcher(2), jobs(3)
    batcher.submit(first)
    batcher.submit(second)
    batcher.withdraw(first)
    batcher.withdraw(first)
    batcher.submit(third)
    assert worked_off(batcher, 2) == [second, third]


def test_closing_drops_what_waits_and_ends_the_thread():
    batcher = Batcher(2)
    done: list[Job] = []
    thread = threading.Thread(target=batcher.run, args=(done.append,))
    thread.start()
    batcher.close()
    thread.join(10)
    assert not thread.is_alive()
    batcher.submit(jobs(1)[0])
    batcher.close()
    assert (batcher.waiting, done) == (0, [])
