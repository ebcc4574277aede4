"""A connection to Redis: what is asked is answered, and what is gone, slow or no Redis is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import pytest
import redises

from inference.serving.cache_url import RedisAddress
from inference.serving.caching import link
from inference.serving.caching.link import Answer, Failure, Link

MADE: list[Link] = []


@dataclass
class Linked:
    """A link, and what it has told."""

    address: RedisAddress
    told: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.link = Link(self.address, self.told.append)
        MADE.append(self.link)

    async def asked(self, *command: str | bytes | int) -> Answer:
        answered = asyncio.get_running_loop().create_future()
        self.link.ask(answered.set_result, *command)
        return await answered

    async def told_of(self, what: str, times: int = 1) -> None:
        await until(lambda: sum(what in said for said in self.told) >= times)

    async def is_up(self) -> None:
        await until(lambda: self.link.up)


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


def run(main: Coroutine[Any, Any, Any]) -> Any:
    """Run it to its end, and see all closed that it has opened."""

    async def whole() -> Any:
        found = await main
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        while MADE:
            await MADE.pop()._client.aclose()
        await asyncio.sleep(0.05)
        return found

    return asyncio.run(whole())


@pytest.fixture
def there(tmp_path):
    with redises.running(tmp_path) as server:
        yield server


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(link, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(link, "_LONGEST_PAUSE_S", 0.05)


def test_each_is_told_what_it_has_asked_on_one_connection(there):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        values = [bytes([number % 256, 13, 10]) * number for number in range(link._MOST_TOGETHER * 3)]
        wrote = [linked.asked("SET", b"\r\n\0%d" % at, value) for at, value in enumerate(values)]
        found = [linked.asked("GETRANGE", b"\r\n\0%d" % at, 0, -1) for at in range(len(values))]
        return values, await asyncio.gather(*wrote), await asyncio.gather(*found), there.client.client_list()

    values, wrote, found, clients = run(main())
    assert wrote == [True] * len(values) and found == values
    assert len(clients) == 2, "ours, and the one that lists them"


def test_what_it_refuses_is_a_failure_for_who_asked_alone(there):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        there.client.lpush("list", "a")
        asked = [linked.asked("GETRANGE", name, 0, 9) for name in (b"none", b"list", b"none")]
        return await asyncio.gather(*asked), linked.told

    answers, told = run(main())
    assert answers[0] == answers[2] == b"" and told == [""]
    assert isinstance(answers[1], Failure) and answers[1].reason.startswith("WRONGTYPE")
    assert not answers[1].lost


def test_a_connection_that_was_closed_meanwhile_is_made_anew(there):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        there.client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        await asyncio.sleep(0.1)
        return await linked.asked("GETRANGE", b"none", 0, 9), linked.told

    assert run(main()) == (b"", [""])


def test_who_waits_hears_that_it_is_lost_and_a_late_reply_is_nobody_s(there, impatient):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        await linked.asked("SET", b"a", b"of a")
        there.process.send_signal(signal.SIGSTOP)
        waits = [asyncio.ensure_future(linked.asked("GETRANGE", b"a", 0, 9)) for _ in range(3)]
        await asyncio.sleep(0.05)
        waits.append(asyncio.ensure_future(linked.asked("GETRANGE", b"a", 0, 9)))
        await asyncio.sleep(0)
        linked.link.fail("slow")
        assert await asyncio.gather(*waits) == [Failure("slow", lost=True)] * 4
        assert not linked.link.up
        there.process.send_signal(signal.SIGCONT)
        await linked.is_up()
        return await linked.asked("GETRANGE", b"b", 0, 9)

    assert run(main()) == b""


def test_what_is_not_sent_has_a_bound(there):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        there.process.send_signal(signal.SIGSTOP)
        sent, answers = 0, []
        while linked.link.up and sent < 99:
            linked.link.ask(answers.append, "SET", b"a", bytes(2**20))
            sent += 1
        assert 4 <= sent <= 5
        there.process.send_signal(signal.SIGCONT)
        await until(lambda: len(answers) == sent)
        assert answers == [True] * sent and linked.link.up

    run(main())


def test_pauses_grow_up_to_the_longest(impatient, monkeypatch):
    pauses = []

    async def main():
        linked = Linked(RedisAddress("127.0.0.1", redises.free_port()))
        call_later = linked.link._loop.call_later

        def noted(seconds, call, *more, **named):
            if call == linked.link._connect:
                pauses.append(seconds)
            return call_later(seconds, call, *more, **named)

        monkeypatch.setattr(linked.link._loop, "call_later", noted)
        await linked.told_of("connect", times=5)

    run(main())
    assert pauses[:5] == [0.01, 0.02, 0.04, 0.05, 0.05]


def test_a_proof_makes_the_next_pause_short(there, impatient):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        found = []
        for proof in (False, False, True):
            await linked.is_up()
            if proof:
                linked.link.proved()
            linked.link.fail("slow")
            found.append(linked.link._pause_s)
        await linked.is_up()
        await linked.asked("GETRANGE", b"none", 0, 9)
        return found

    assert run(main()) == [0.02, 0.04, 0.02]
    assert there.client.info("commandstats")["cmdstat_getrange"]["calls"] == 4 + 1, "nobody else goes on"


def test_who_gives_it_up_at_a_reply_is_told_no_other(there):
    async def main():
        linked = Linked(RedisAddress("127.0.0.1", there.port))
        await linked.is_up()
        answers = []
        for _ in range(3):
            linked.link.ask(lambda answer: (answers.append(answer), linked.link.fail("enough")), "GET", b"a")
        await until(lambda: len(answers) == 3)
        return answers

    assert run(main()) == [None, *[Failure("enough", lost=True)] * 2]


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"$x\r\n\r\n",
        b"*1\r\n$1\r\na\r\n",
        b"*1\r\n" * 5000,
        b":1\r\n",
        b"+" * 300_000,
    ],
)
def test_what_is_no_redis_is_not_used(said, impatient):
    async def main():
        async def say(reader, writer):
            with contextlib.closing(writer), contextlib.suppress(OSError):
                await reader.read(1)
                writer.write(said)
                while await reader.read(999):
                    pass

        async with await asyncio.start_server(say, "127.0.0.1", 0) as server:
            linked = Linked(RedisAddress("127.0.0.1", server.sockets[0].getsockname()[1]))
            await linked.told_of("is this a Redis?", times=2)
            assert not [told for told in linked.told if "is this a Redis?" not in told]

    run(main())


def test_a_password_is_read_when_a_connection_is_made(tmp_path, impatient, monkeypatch):
    async def main(port):
        linked = Linked(RedisAddress("127.0.0.1", port, password_env="MINE"))
        await linked.told_of("NOAUTH Authentication required")
        monkeypatch.setenv("MINE", "ses4me")
        await linked.told_of("WRONGPASS")
        monkeypatch.setenv("MINE", "sesame")
        await linked.is_up()

    monkeypatch.delenv("MINE", raising=False)
    with redises.running(tmp_path, 0, "sesame") as server:
        run(main(server.port))


@pytest.mark.parametrize("user", ["", "me"])
def test_a_server_that_repeats_the_password_is_not_quoted(user, tmp_path):
    async def main(port):
        linked = Linked(RedisAddress("127.0.0.1", port, user=user, password="sesame"))
        await linked.told_of("it answered ERR unknown command")
        assert not [said for said in linked.told if "sesame" in said]

    with redises.running(tmp_path, 0, None, "--rename-command", "AUTH", "") as server:
        run(main(server.port))


def test_certificates_are_read_from_the_disk_beside_the_loop(there, tmp_path, monkeypatch):
    places = []
    create = ssl.create_default_context

    def noted():
        places.append(threading.current_thread())
        return create()

    async def main(port):
        linked = Linked(RedisAddress("127.0.0.1", port, tls=True))
        await linked.is_up()
        return await linked.asked("SET", b"a", b"b")

    with redises.encrypted(there, tmp_path) as (port, certificate):
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setattr(ssl, "create_default_context", noted)
        assert run(main(port)) is True
    assert len(places) == 1 and places[0] is not threading.main_thread()
