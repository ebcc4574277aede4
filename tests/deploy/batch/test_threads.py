import itertools
import time

import pytest

from deploy.batch.threads import GivenUp, go_on, in_threads


def test_results_come_in_the_order_of_what_they_are_of():
    assert in_threads(lambda n: (time.sleep(0.01 * (3 - n)), n)[1], range(4)) == [0, 1, 2, 3]


@pytest.mark.timeout(30)
def test_an_error_does_not_wait_for_long_work_beside_it():
    def work(number: int) -> None:
        if number == 0:
            raise ValueError("bad")
        for _ in itertools.count():
            go_on()
            time.sleep(0.01)

    with pytest.raises(ValueError, match="bad"):
        in_threads(work, range(3))
    go_on()  # what comes after is not given up


def test_what_is_given_up_is_no_error_of_its_own():
    with pytest.raises(KeyboardInterrupt):
        in_threads(_stopped, [1])
    assert issubclass(GivenUp, Exception)


def _stopped(_: int) -> None:
    raise KeyboardInterrupt
