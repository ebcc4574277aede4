"""What both clouds' containers are alike in: requests are counted, and one that retires lets them end."""

import threading

import pytest

from infra.local.containers import Serving, stop_all


class Counted(Serving):
    """A container that only says with how many requests it was stopped."""

    def __init__(self):
        super().__init__()
        self.stopped_with: list[int] = []

    def stop(self):
        self._closing.set()
        self.stopped_with.append(self.in_flight)


@pytest.fixture
def container():
    return Counted()


def test_a_container_that_retires_takes_no_more_requests(container):
    assert container.enter()
    container.leave()
    container.retire(0)
    assert not container.enter()
    assert container.in_flight == 0


def test_a_container_is_stopped_once_its_requests_are_answered(container):
    assert container.enter()
    retiring = threading.Thread(target=container.retire, args=(60,))
    retiring.start()
    while container.enter():  # until it has begun to retire
        container.leave()
    assert container.stopped_with == []
    container.leave()
    retiring.join(60)
    assert container.stopped_with == [0]


def test_a_request_that_does_not_end_is_waited_for_so_long_and_no_longer(container):
    container.enter()
    container.retire(0.01)
    assert container.stopped_with == [1]


def test_containers_are_stopped_side_by_side():
    """One after another, the first would wait for the second in vain."""
    met = threading.Barrier(2, timeout=30)

    class Meeting(Counted):
        def stop(self):
            met.wait()
            super().stop()

    both = [Meeting(), Meeting()]
    stop_all(both)
    assert [one.stopped_with for one in both] == [[0], [0]]
