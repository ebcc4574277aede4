"""How a request's body is read: up to a limit, and not without end beyond it."""

import asyncio

import pytest

from infra.local.asgi import READ_OVER, CallerLeft, body_within, chunks, while_there

LIMIT = 100


class Caller:
    """Sends its pieces one by one; after the last of them it leaves, or the body is whole."""

    def __init__(self, *pieces, leaves=False):
        self.pieces, self.leaves, self.taken = pieces, leaves, 0

    async def receive(self):
        if self.taken == len(self.pieces):
            return {"type": "http.disconnect"}
        self.taken += 1
        more = self.leaves or self.taken < len(self.pieces)
        return {"type": "http.request", "body": self.pieces[self.taken - 1], "more_body": more}


def read(caller):
    return asyncio.run(body_within(caller.receive, LIMIT))


@pytest.mark.parametrize("pieces", [(b"",), (b"x" * LIMIT,), (b"a" * 40, b"", b"b" * 60)])
def test_a_body_up_to_the_limit_is_read_whole(pieces):
    assert read(Caller(*pieces)) == b"".join(pieces)


@pytest.mark.parametrize("pieces", [(b"x" * (LIMIT + 1),), (b"a" * LIMIT, b"b"), (b"x" * READ_OVER * LIMIT,)])
def test_a_body_over_the_limit_is_none_and_read_to_its_end(pieces):
    caller = Caller(*pieces)
    assert read(caller) is None
    assert caller.taken == len(pieces), "so that the answer reaches the caller"


def test_a_body_far_over_the_limit_is_not_read_to_its_end():
    caller = Caller(*[b"x" * LIMIT] * 1000)
    assert read(caller) is None
    assert caller.taken == READ_OVER + 1


def test_a_caller_who_leaves_before_the_end_is_no_caller():
    with pytest.raises(CallerLeft):
        read(Caller(b"half", leaves=True))

    async def drained():
        return [chunk async for chunk in chunks(Caller(b"a", b"b").receive)]

    assert asyncio.run(drained()) == [b"a", b"b"]


async def stays():
    await asyncio.Event().wait()


def test_work_for_a_caller_who_stays_is_done_and_its_error_is_raised():
    done = []

    async def work(error=None):
        done.append(1)
        if error:
            raise error

    asyncio.run(while_there(stays, work()))
    with pytest.raises(KeyError):
        asyncio.run(while_there(stays, work(KeyError("it"))))
    assert done == [1, 1]


def test_work_for_a_caller_who_leaves_is_stopped_and_waited_for():
    stopped = []

    async def work():
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            stopped.append(1)

    with pytest.raises(CallerLeft):
        asyncio.run(while_there(Caller().receive, work()))
    assert stopped == [1]
