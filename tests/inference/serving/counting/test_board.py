"""The numbers that workers share, and what /metrics makes of them."""

from __future__ import annotations

import os

from inference.serving.counting import metrics
from inference.serving.counting.board import Board


def test_what_one_process_writes_another_one_reads():
    board = Board(2)
    child = os.fork()
    if not child:
        Board(2, board.fd).slots[1].submitted = 5
        os._exit(0)
    os.waitpid(child, 0)
    assert (board.slots[1].submitted, board.waiting()) == (5, 5)


def test_counters_outlive_a_worker_and_what_it_was_at_does_not():
    board = Board(1)
    slot = board.slots[0]
    slot.submitted, slot.taken, slot.begun, slot.pid, slot.ready = 7, 2, 9, 4711, 1
    slot.count(200)
    slot.clear()
    assert (board.waiting(), board.in_flight(), slot.pid, slot.ready) == (0, 0, 0, 0)
    assert slot.statuses() == {200: 1}


def test_connections_are_compared_with_those_of_workers_that_answer():
    board = Board(3)
    mine, other, supervisor = board.slots
    mine.connections, other.connections = 5, 2
    assert not mine.has_more_than_another  # neither is ready yet
    mine.ready = 1
    assert not mine.has_more_than_another
    other.ready = 1
    assert mine.has_more_than_another
    assert not other.has_more_than_another
    assert not supervisor.has_more_than_another
    other.connections = 3  # two more are as good as none
    assert not mine.has_more_than_another
    mine.clear()
    assert (mine.connections, other.has_more_than_another) == (0, False)


def test_metrics_are_the_sum_over_all_workers():
    board = Board(2)
    for slot in board.slots:
        slot.count(200)
        slot.count(418)
        slot.observe({"predict": 0.002, "queue": 100.0})
        slot.observe_batch(3)
        slot.hits += 2
    text = metrics.text(board).decode()
    for line in (
        'slipway_requests_total{status="200"} 2.0',
        'slipway_requests_total{status="other"} 2.0',
        'slipway_phase_seconds_bucket{le="0.001",phase="predict"} 0.0',
        'slipway_phase_seconds_bucket{le="0.0025",phase="predict"} 2.0',
        'slipway_phase_seconds_bucket{le="60",phase="queue"} 0.0',
        'slipway_phase_seconds_count{phase="queue"} 2.0',
        'slipway_phase_seconds_sum{phase="queue"} 200.0',
        'slipway_batch_requests_bucket{le="2"} 0.0',
        'slipway_batch_requests_bucket{le="4"} 2.0',
        "slipway_batch_requests_sum 6.0",
        "slipway_cache_hits_total 4.0",
    ):
        assert line in text.splitlines(), line
