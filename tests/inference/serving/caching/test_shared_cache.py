"""Answers that servers keep together, in a real Redis: what it gives, and that nothing of it can hurt."""

from __future__ import annotations

import hashlib
import json
import signal
import socket
import time
from functools import partial

import pytest
import redises
from hypothesis import given, settings
from hypothesis import strategies as st

from inference.serving.caching import shared_cache
from inference.serving.counting.board import Board
from inference.serving.errors import Unavailable
from inference.serving.exchange import Reply
from inference.serving.http.calls import Call, Limits
from inference.serving.microbatching.batcher import Batcher, Job
from inference.serving.online.server import Service
from inference.serving.settings import read

# Answers with a number that no other call in any process has.
UNIQUE = """
import time
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        if "fail" in inputs: raise RuntimeError
        return [time.time_ns()] * len(inputs)
"""
STREAMING = """
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        yield 1
        yield 2
"""
FETCHING = """
import os
class Handler:
    def load(self, model_dir): os.environ["FETCHED"] = "sesame"
    def predict(self, inputs): return [1] * len(inputs)
"""
SEEING = """
import sys
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs): return ["redis" in sys.modules] * len(inputs)
"""
OLD = """
def model_fn(model_dir): return None
def predict_fn(data, model):
    import time
    return [time.time_ns()]
"""


@pytest.fixture
def there(tmp_path):
    with redises.running(tmp_path) as server:
        yield server


def entry(text):
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text)}


@pytest.fixture
def packaged(serve):
    """Start a server of one worker, with a manifest as packaging writes it; its cache is there, too."""

    def begin(handler=UNIQUE, url="", name="handler.py", wait="connected", beside=None, **environment):
        code = {name: handler, **(beside or {})}
        entries = {f"code/{file}": entry(text) for file, text in code.items()}
        files = {**code, "manifest.json": json.dumps({"format": 1, "files": entries})}
        files.pop("handler.py", None)
        served = serve(
            handler if name == "handler.py" else None,
            None,
            files,
            SLIPWAY_CACHE_URL=url,
            SLIPWAY_WORKERS="1",
            **environment,
        ).wait_ready()
        until(lambda: wait in served.log)
        return served

    return begin


def until(holds, seconds=20):
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counts(served, *names):
    return [served.metric(f"slipway_{name}_total") for name in names]


# --- What it gives ---


def test_what_one_server_has_answered_another_need_not(there, packaged):
    one, other = packaged(url=there.url), packaged(url=there.url)
    first = one.post(b"[1]")
    until(lambda: there.client.dbsize())
    second = other.post(b"[1]")
    assert (second.body, second.headers["content-type"]) == (first.body, first.headers["content-type"])
    assert counts(one, "shared_cache_hits", "shared_cache_misses", "cache_misses") == [0, 1, 1]
    assert counts(other, "shared_cache_hits", "shared_cache_misses", "cache_hits") == [1, 0, 1]
    assert other.post(b"[1]", Accept="application/jsonlines").body != first.body
    assert 'cache;desc="hit"' in other.post(b"[1]", Slipway_Timing="1").headers["server-timing"]


def test_what_is_in_the_process_is_not_looked_for_outside(there, packaged):
    one, other = (packaged(url=there.url, SLIPWAY_CACHE="9") for _ in range(2))
    answers = {one.post(b"[1]").body}
    until(lambda: there.client.dbsize())
    answers |= {server.post(b"[1]").body for server in (one, other, other)}
    assert len(answers) == 1
    assert counts(one, "cache_hits", "shared_cache_hits", "shared_cache_misses") == [1, 0, 1]
    assert counts(other, "cache_hits", "shared_cache_hits", "shared_cache_misses") == [2, 1, 0]


def test_another_version_has_answers_of_its_own(there, packaged):
    versions = [{}, {"handler": UNIQUE + "# changed\n"}, {"SLIPWAY_CACHE_VERSION": "another environment"}]
    answers = [packaged(url=there.url, **version).post(b"[1]").body for version in versions]
    assert len(set(answers)) == 3


def test_an_answer_stays_as_long_as_is_said(there, packaged):
    packaged(url=there.url, SLIPWAY_CACHE_TTL_S="50").post(b"[1]")
    until(lambda: there.client.dbsize())
    (name,) = there.client.keys()
    assert 40 < there.client.ttl(name) <= 50


def test_errors_and_streams_are_never_kept(there, packaged):
    served, streaming = packaged(url=there.url), packaged(STREAMING, there.url)
    assert [served.post(b'["fail"]').status for _ in range(2)] == [500, 500]
    assert [streaming.post(b"1", "application/jsonlines").body for _ in range(2)] == [b"1\n2\n"] * 2
    assert served.post(b"[1]").status == 200
    until(lambda: there.client.dbsize())
    assert there.client.dbsize() == 1


def test_an_old_handler_s_answers_are_shared_too(there, packaged):
    one, other = (packaged(OLD, there.url, "inference.py") for _ in range(2))
    first = one.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="a")
    until(lambda: there.client.dbsize())
    assert other.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="a").body == first.body
    assert other.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="b").body != first.body


def test_its_client_is_there_where_it_is_asked_for_alone(there, packaged):
    foreign = {"redis.py": "raise RuntimeError"}  # of the handler's own, and not to be taken for it
    answers = [packaged(SEEING, url, wait="ready", beside=foreign).post(b"[1]") for url in ("", there.url)]
    assert [answer.body for answer in answers] == [b"[false]", b"[true]"]
    until(lambda: there.client.dbsize())


# --- What it holds ---

HEADERS = st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20)), max_size=3).map(tuple)
REPLIES = st.builds(Reply, st.just(200), st.text("abc/;= é", max_size=20), st.binary(max_size=200), HEADERS)


@settings(deadline=None)
@given(REPLIES)
def test_a_reply_comes_back_as_it_was(reply):
    assert shared_cache.unpacked(b"name", shared_cache.packed(b"name", reply)) == reply


@settings(deadline=None)
@given(REPLIES, st.integers(0), st.integers(1, 255), st.integers(0))
def test_a_value_that_was_changed_is_none(reply, place, change, cut):
    value = bytearray(shared_cache.packed(b"name", reply))
    assert shared_cache.unpacked(b"another", bytes(value)) is None
    assert shared_cache.unpacked(b"name", bytes(value[: cut % len(value)])) is None
    value[place % len(value)] ^= change
    assert shared_cache.unpacked(b"name", bytes(value)) is None


@settings(deadline=None)
@given(st.binary(max_size=100))
def test_a_value_that_is_not_ours_is_none(value):
    assert shared_cache.unpacked(b"name", value) is None
    assert shared_cache.unpacked(b"name", b"SLW1" + value) is None


@pytest.mark.parametrize("foreign", [b"", b"garbage", b"x" * 3_000_000, "list"])
def test_what_is_not_ours_is_a_miss(there, packaged, foreign):
    served = packaged(url=there.url)
    first = served.post(b"[1]").body
    until(lambda: there.client.dbsize())
    (name,) = there.client.keys()
    if foreign == "list":
        there.client.delete(name)
        there.client.lpush(name, "a")
    else:
        there.client.set(name, foreign)
    assert served.post(b"[1]").body != first
    assert counts(served, "shared_cache_hits") == [0]
    assert there.client.info("stats")["total_net_output_bytes"] < 2_000_000, "all of it is not fetched"
    until(lambda: served.post(b"[1]").body == served.post(b"[1]").body)  # what came then has its place
    assert "go on without it" not in served.log


# --- That it cannot hurt ---


def test_requests_go_on_while_it_is_gone_and_it_is_used_again(there, packaged, tmp_path):
    served = packaged(url=there.url)
    there.process.kill()
    there.process.wait(20)
    assert [served.post(b"[1]").status for _ in range(20)] == [200] * 20
    assert served.log.count("requests go on without it") == 1
    assert counts(served, "shared_cache_failures")[0] >= 19
    with redises.running(tmp_path, there.port):
        until(lambda: "it answers again" in served.log)
        until(lambda: served.post(b"[2]").body == served.post(b"[2]").body)


def test_one_that_is_not_there_at_the_start_is_no_reason_not_to_start(packaged):
    served = packaged(url=f"redis://127.0.0.1:{redises.free_port()}", wait="requests go on without it")
    assert served.post(b"[1]").status == 200
    time.sleep(1.5)  # it is tried again, and fails again
    assert served.log.count("shared cache") == 1


def test_one_that_does_not_answer_is_not_waited_for(there, packaged):
    served = packaged(url=there.url)
    there.process.send_signal(signal.SIGSTOP)
    # Whoever waited for it would wait for ever.
    assert [served.post(b"[%d]" % number).status for number in range(50)] == [200] * 50
    assert served.log.count("no answer in 25 ms; requests go on without it") == 1
    assert counts(served, "shared_cache_failures") == [50]
    there.process.send_signal(signal.SIGCONT)
    until(lambda: "it answers again" in served.log)


def test_one_that_never_greets_is_not_waited_for(packaged):
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        served = packaged(url=f"redis://127.0.0.1:{silent.getsockname()[1]}", wait="ready")
        assert served.post(b"[1]").status == 200
        until(lambda: "no connection in 2 s; requests go on without it" in served.log)
        assert served.ping() == 200


def test_one_that_is_full_is_read_and_not_written(there, packaged):
    served = packaged(url=there.url)
    kept = served.post(b"[1]").body
    until(lambda: there.client.dbsize())
    there.client.config_set("maxmemory", "1")
    assert [served.post(b"[%d]" % number).status for number in range(2, 9)] == [200] * 7
    until(lambda: "nothing is kept there: it answered OOM" in served.log)
    assert served.post(b"[1]").body == kept
    assert served.log.count("shared cache") == 2
    assert counts(served, "shared_cache_unkept") == [7]
    assert there.client.info("commandstats")["cmdstat_set"]["rejected_calls"] < 4, (
        "it is left alone for a while"
    )


def test_something_else_than_a_redis_is_not_used(packaged):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        served = packaged(url=f"redis://127.0.0.1:{other.getsockname()[1]}", wait="ready")
        connection, _ = other.accept()
        with connection:
            connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")
            until(lambda: "is this a Redis?" in served.log)
        assert served.post(b"[1]").status == 200


def test_its_password_may_come_with_load_and_is_shown_nowhere(tmp_path, packaged):
    with redises.running(tmp_path, password="sesame") as there:
        served = packaged(FETCHING, there.url, SLIPWAY_CACHE_PASSWORD_ENV="FETCHED")
        also = packaged(url=there.url.replace("redis://", "redis://:sesame@"))
        wrong = packaged(url=there.url.replace("redis://", "redis://:ses4me@"), wait="WRONGPASS")
        none = packaged(url=there.url, wait="NOAUTH")
        assert [one.post(b"[1]").status for one in (served, also, wrong, none)] == [200] * 4
        shown = [one.log + one.call("GET", "/metrics").body.decode() for one in (served, also, wrong, none)]
        assert not [text for text in shown if "sesame" in text or "ses4me" in text]


def test_tls_is_spoken_with_who_is_trusted_alone(there, packaged, tmp_path):
    with redises.encrypted(there, tmp_path) as (port, certificate):
        url = f"rediss://127.0.0.1:{port}"
        served = packaged(url=url, SSL_CERT_FILE=str(certificate))
        assert served.post(b"[1]").status == 200
        until(lambda: there.client.dbsize())
        doubtful = packaged(url=url, wait="requests go on without it")
        assert doubtful.post(b"[1]").body != served.post(b"[1]").body
        assert "certificate verify failed" in doubtful.log


def test_an_archive_without_a_digest_shares_nothing(serve):
    served = serve(UNIQUE, SLIPWAY_CACHE_URL="redis://me:sesame@cache")
    assert served.status() == 1
    assert "without its digest another version's answers would be given" in served.log
    assert "sesame" not in served.log


# --- What comes between a look and its end ---


class Looking:
    """In the place of a shared cache: a look that ends when the test says so."""

    def find(self, key, then):
        self.end = partial(then)
        return True

    def keep(self, key, reply):
        pass


@pytest.fixture
def looking():
    """A service, a call that it looks for, and its answers so far."""
    slot = Board(1).slots[0]
    service = Service(read({}), Batcher(1, slot), slot)
    service.state, service.shared = "ready", Looking()
    call = Call(b"POST", "/invocations", {b"content-type": b"application/json"}, Limits(100, 1, 1))
    call.body = b"[1]"
    answers: list[Reply] = []
    call.waits = answers.append
    service.begin(call)
    assert service.answer(call) is None and not slot.waiting
    return service, call, answers


def test_a_queue_that_is_full_after_the_look_refuses(looking):
    service, _, answers = looking
    service._batcher.submit(Job(None, print))
    service.shared.end(None)
    assert [reply.status for reply in answers] == [503]


def test_who_was_cut_off_during_the_look_is_not_answered_again(looking):
    service, call, answers = looking
    service.cut(Unavailable("the server is stopping", "draining"))
    service.shared.end(None)
    assert len(answers) == 1 and not service._slot.waiting


def test_what_was_found_is_the_answer(looking):
    service, _, answers = looking
    service.shared.end(Reply(200, "application/json", b"[7]"))
    assert [reply.body for reply in answers] == [b"[7]"] and service._slot.hits == 1
