"""Instances to predictions, batch by batch, over a container's predict route; and the files that hold them.

Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions; the form of a failure is that of
github.com/googleapis/python-aiplatform issue 2666. The order of the results is nowhere promised, and here as
there it is that in which batches are done.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from infra.local.vertex.containers import Container
from infra.local.vertex.jobs.instances import Instance

TRIES = 3
SHARDS = 2  # of the results: as many batches are under way at once


@dataclass(frozen=True)
class Order:
    """How the instances are to be scored; `parameters` is JSON, or "" for none."""

    batch_size: int
    parameters: str
    timeout_s: float
    cancelled: threading.Event


@dataclass(frozen=True)
class Failure:
    """Why instances have no prediction, and how many they are."""

    reason: str
    count: int


@dataclass
class Result:
    """Each shard's lines, `{"instance": …, "prediction": …}`, and what failed."""

    shards: list[list[str]] = field(default_factory=lambda: [[] for _ in range(SHARDS)])
    failures: list[Failure] = field(default_factory=list)


def score(container: Container, found: Sequence[Instance], order: Order) -> Result:
    """The predictions for all instances; stops early once the job is cancelled."""
    result = Result()
    result.failures += [Failure(one.error, 1) for one in found if one.error]
    batches = _batches([one for one in found if not one.error], order.batch_size)
    taking = threading.Lock()

    def work(shard: list[str]) -> None:
        while not order.cancelled.is_set():
            with taking:
                batch = next(batches, None)
            if batch is None:
                return
            answered = _answered(container, batch, order)
            if isinstance(answered, Failure):
                result.failures.append(answered)
            else:
                shard.extend(answered)

    with ThreadPoolExecutor(SHARDS) as threads:
        list(threads.map(work, result.shards))
    return result


def files(result: Result) -> dict[str, list[str]]:
    """The output files' lines by their names."""
    shards = [shard for shard in result.shards if shard] or [[]]
    named = {f"prediction.results-{at:05}-of-{len(shards):05}": lines for at, lines in enumerate(shards)}
    failures = [f"{(failure.reason, failure.count)!r}\n" for failure in result.failures]
    return {**named, "prediction.errors_stats-00000-of-00001": failures}


def _batches(found: list[Instance], size: int) -> Iterator[list[Instance]]:
    for at in range(0, len(found), size):
        yield found[at : at + size]


def _answered(container: Container, batch: list[Instance], order: Order) -> list[str] | Failure:
    """A line for each instance of the batch, or why there is none."""
    parameters = f', "parameters": {order.parameters}' if order.parameters else ""
    body = f'{{"instances": [{", ".join(one.sent for one in batch)}]{parameters}}}'.encode()
    began, reason = time.monotonic(), ""
    for _ in range(TRIES):
        if order.cancelled.is_set():
            break
        try:
            status, answer = container.post(body, "application/json", order.timeout_s)
        except (OSError, http.client.HTTPException) as error:
            reason = f"Got exception {error}"
            continue
        if status == 200:
            return _lines(batch, answer)
        reason = f"Non-OK result {status} ({answer.decode('utf-8', 'replace')})"
    spent = f"from server, retry={TRIES}, ellapsed={time.monotonic() - began:.2f}s."
    return Failure(
        f"Post request fails. Cannot get predictions. Error: Exceeded retries: {reason} {spent}", len(batch)
    )


def _lines(batch: list[Instance], answer: bytes) -> list[str] | Failure:
    try:
        predictions = json.loads(answer)["predictions"]
        if not isinstance(predictions, list) or len(predictions) != len(batch):
            raise ValueError(f"{len(predictions)} predictions for {len(batch)} instances")
    except (ValueError, LookupError, TypeError) as error:
        reason = f'The container\'s answer is no {{"predictions": […]}} with one for each instance: {error!r}'
        return Failure(reason, len(batch))
    return [
        f'{{{one.told}, "prediction": {json.dumps(prediction)}}}\n'
        for one, prediction in zip(batch, predictions, strict=True)
    ]
