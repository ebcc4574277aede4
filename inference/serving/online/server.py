"""The routes of the container contract: what each request is answered, and by whom.

/ping and /metrics never queue: they are answered on the event loop, while the handler runs in its own thread.
One call into C that keeps the interpreter's lock for seconds still holds them up: only a process of its own
would not.
Sources: docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-inference-code.html,
docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html,
cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import orjson

from inference.serving import exchange
from inference.serving.caching import cache
from inference.serving.caching.cache import Cache
from inference.serving.caching.shared_cache import SharedCache
from inference.serving.codecs import media
from inference.serving.counting import metrics
from inference.serving.counting.board import Slot
from inference.serving.errors import (
    BadBody,
    MethodNotAllowed,
    NotFound,
    Refusal,
    Unavailable,
    UnsupportedMediaType,
    shown,
)
from inference.serving.exchange import Reply
from inference.serving.http import calls
from inference.serving.http.calls import Call
from inference.serving.microbatching.batcher import Batcher, Job
from inference.serving.online import openapi, timing
from inference.serving.settings import Settings, transforms

Answer = Callable[[Call], Reply | None]
# From a call, perhaps before its body is there, to what the model is asked. It raises a Refusal.
Ask = Callable[[Call], Any]

# Where one of them is, a body may be something else than what its content type says.
_NOT_PLAIN = {b"upgrade", b"transfer-encoding", b"content-encoding"}
_PONG = Reply(200, "application/json", b"")


class Service(calls.Service):
    """Answers requests. Its state is "loading", "ready" or "draining", and only the event loop changes it."""

    def __init__(self, settings: Settings, batcher: Batcher, slot: Slot) -> None:
        self.state = "loading"
        self.ask: Ask = asked
        self.speaks = openapi.Speaks.PREDICTIONS
        self._settings = settings
        self._batcher = batcher
        self._slot = slot
        self._cache = Cache(settings.cache) if settings.cache and settings.batch is None else None
        self.shared: SharedCache | None = None
        self._since = time.monotonic()
        self._open: set[Call] = set()
        self._routes = self._routing()

    @property
    def closing(self) -> bool:  # type: ignore[override]  # there it is a plain attribute
        """Whether connections end with the answer that they get."""
        return self.state != "ready"

    def begin(self, call: Call) -> None:
        """Refuse a call whose headers say enough; count one for the predict route as in flight."""
        call.route = self._route(call)
        if call.route != self._invoke:
            return
        call.counted = True
        self._slot.begun += 1
        self._check_ready()
        if not call.is_short:  # else all of that is looked at once, when it is here
            self.ask(call)
            self._batcher.check_room()
            call.check_length()

    def answer(self, call: Call) -> Reply | None:
        """The answer, or None where the model will give it."""
        answer: Reply | None = call.route(call)
        return answer

    def connected(self, count: int) -> None:
        """Let the other workers know."""
        self._slot.connections = count

    def leaves_next(self) -> bool:
        """Whether another worker has fewer."""
        return self._slot.has_more_than_another

    def end(self, call: Call) -> None:
        """Count how a call on the predict route ended."""
        if call.counted:
            call.counted = False
            self._open.discard(call)
            self._slot.ended += 1
            self._slot.count(call.status)

    def cut(self, refusal: Refusal) -> None:
        """Answer this to every request that is still open."""
        reply = exchange.refused(refusal)
        for call in list(self._open):
            call.answer(reply)

    def _routing(self) -> dict[str, dict[bytes, Answer]]:
        routes: dict[str, dict[bytes, Answer]] = {
            "/metrics": {b"GET": self._show_metrics},
            "/execution-parameters": {b"GET": _execution_parameters},
        }
        for path in self._settings.health_routes:
            routes.setdefault(path, {})[b"GET"] = self._ping
        for path in self._settings.predict_routes:
            routes.setdefault(path, {})[b"POST"] = self._invoke
        if self._settings.batch is None:  # a job's requests have a form of their own
            routes.setdefault(openapi.PATH, {b"GET": self._show_openapi})
        return routes

    def _route(self, call: Call) -> Answer:
        methods = self._routes.get(call.path)
        if methods is None:
            known = ", ".join(
                f"{method.decode()} {path}" for path, ms in self._routes.items() for method in ms
            )
            raise NotFound(f"{shown(call.path)} is not served here; expected one of {known}")
        answer = methods.get(call.method)
        if answer is None:
            allowed = b", ".join(methods).decode()
            raise MethodNotAllowed(
                f"{shown(call.method.decode('latin-1'))} {call.path}: expected {allowed}", allowed
            )
        return answer

    def _ping(self, call: Call) -> Reply:
        self._check_ready()
        return _PONG

    def _show_metrics(self, call: Call) -> Reply:
        return Reply(200, metrics.CONTENT_TYPE, metrics.text(self._slot.board))

    def _show_openapi(self, call: Call) -> Reply:
        self._check_ready()
        return Reply(200, media.JSON, openapi.text(self._settings, self.speaks))

    def _invoke(self, call: Call) -> Reply | None:
        self._check_ready()
        request = self.ask(call)
        known = cache.key(request) if self._cache or self.shared else None
        if self._cache and (reply := self._cache.get(known)):
            self._slot.hits += 1
            return timing.told(reply, call.headers, {}, 0) if timing.is_asked(call.headers) else reply
        job = Job(request, call.answer)
        job.call = call
        if not (self.shared and self.shared.find(known, partial(self._found, job, known))):
            self._submit(job, known)
        self._open.add(call)
        return None

    def _found(self, job: Job, known: Hashable, reply: Reply | None) -> None:
        """Go on with what the shared cache has told."""
        call = job.call
        if call is None or call.waits is None:  # its client has gone, or it was cut off
            return
        if reply is None:
            try:
                self._submit(job, known)
            except Refusal as refusal:
                call.answer(exchange.refused(refusal))
            return
        self._slot.hits += 1
        if self._cache:
            self._cache.keep(known, reply)
        call.answer(timing.told(reply, call.headers, {}, 0) if timing.is_asked(call.headers) else reply)

    def _submit(self, job: Job, known: Hashable) -> None:
        self._batcher.submit(job)
        call = job.call
        assert call is not None
        if known is not None or timing.is_asked(call.headers):
            job.done = partial(self._done, call, job, known)
        call.on_gone = partial(self._batcher.withdraw, job)

    def _done(self, call: Call, job: Job, known: Hashable, reply: Reply) -> None:
        if known is not None:
            self._slot.misses += 1
            for kept in (self._cache, self.shared):
                if kept is not None:
                    kept.keep(known, reply)
        if timing.is_asked(call.headers):
            reply = timing.told(reply, call.headers, job.phases, job.shared)
        call.answer(reply)

    def _check_ready(self) -> None:
        if self.state == "loading":
            seconds = time.monotonic() - self._since
            raise Unavailable(
                f"the model is loading and its samples are checked ({seconds:.0f} s so far)", "loading"
            )
        if self.state == "draining":
            raise Unavailable(
                "the server is stopping: it finishes what it has and takes nothing new", "draining"
            )


def _execution_parameters(call: Call) -> Reply:
    """What suits a transform job that leaves it to us; their product may be 100 MB at most.

    Asked once, before the job's first request, and not asked again: so also while the model loads.
    """
    asked: dict[str, Any] = {
        "MaxConcurrentTransforms": transforms(),
        "BatchStrategy": "MULTI_RECORD",
        "MaxPayloadInMB": 6,
    }
    return Reply(200, "application/json", orjson.dumps(asked))


def asked(call: Call) -> exchange.Request:
    """The request of a call, by its Content-Type and Accept."""
    check_plain(call)
    content_type = media.content_type(call.header(b"content-type"))
    accepted = media.accepted(call.header(b"accept"), content_type.format)
    return exchange.Request(call.body, content_type, accepted)


def check_plain(call: Call) -> None:
    """Refuse a body that is not plain: of another protocol, or compressed."""
    if _NOT_PLAIN.isdisjoint(call.headers):
        return
    if b"upgrade" in call.headers:
        # What follows the headers then belongs to the other protocol, and no body is seen.
        raise BadBody(f"Upgrade: {shown(call.headers[b'upgrade'])} is not spoken here; send plain HTTP/1.1")
    transferred = call.headers.get(b"transfer-encoding", b"chunked").strip().lower()
    if transferred != b"chunked":
        raise UnsupportedMediaType(
            f"Transfer-Encoding: {shown(transferred)} is not read here; send the body as it is, or in chunks"
        )
    encoding = call.header(b"content-encoding", "identity").strip().lower()
    if encoding != "identity":
        raise UnsupportedMediaType(
            f"Content-Encoding: {shown(encoding)} is not read here; send the body as it is"
        )
