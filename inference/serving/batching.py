"""Requests that came together answered by shared calls of the handler, each as if it had come alone.

What can be put into one call is: lists with lists, small arrays with arrays of the same form. A call that
fails is done again for each of its requests alone, so that a bad instance costs its own request and no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from inference.serving import codecs, exchange, log
from inference.serving.batcher import Job
from inference.serving.codecs import Decoded
from inference.serving.errors import Refusal
from inference.serving.exchange import Reply
from inference.serving.inputs import Instances
from inference.serving.predictor import Phases, Predictor, describe, timed

# Arrays above this are not put together: to copy them costs more than the call that it saves.
_LARGE = 64 * 1024
# How much of a batch may be padding, where the handler tells how long an instance is.
_PADDED = 1.25
_UNKNOWN = float("inf")

Answered = list[tuple[Job, Reply]]


@dataclass(frozen=True)
class _Part:
    """A job's instances, and how long the longest of them is (0 where nobody says)."""

    job: Job
    decoded: Decoded
    length: float = 0.0


class Batches:
    """Answers jobs with a loaded handler, at most `max_instances` of them in a call but for one large job."""

    def __init__(self, predictor: Predictor, max_instances: int) -> None:
        self._predictor = predictor
        self._max = max_instances

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answered]:
        """The jobs with their replies, as they are done; every phase is then in the job's `phases`."""
        if len(jobs) == 1:
            yield [(jobs[0], self._alone(jobs[0]))]
            return
        parts, refused = self._decoded(jobs)
        if refused:
            yield refused
        for group in self._groups(parts):
            yield [(group[0].job, self._alone(group[0].job))] if len(group) == 1 else self._together(group)

    def _alone(self, job: Job) -> Reply:
        def attempt(request: exchange.Request, phases: Phases) -> Reply:
            return exchange.attempt(self._predictor, request, phases)

        return exchange.answer(attempt, job.request, job.phases)

    def _decoded(self, jobs: Sequence[Job]) -> tuple[list[_Part], Answered]:
        parts, refused = [], []
        for job in jobs:
            try:
                with timed(job.phases, "decode"):
                    decoded = codecs.decode(job.request.body, job.request.content_type)
                parts.append(_Part(job, decoded, self._length(decoded.instances)))
            except Refusal as refusal:
                exchange.note(refusal)
                refused.append((job, exchange.refused(refusal)))
            except BaseException as error:
                refused.append((job, exchange.unexpected(error)))
        return parts, refused

    def _length(self, instances: Instances) -> float:
        length = self._predictor.length
        if length is None:
            return 0.0
        try:
            return max((float(length(instance)) for instance in instances), default=0.0)
        except Exception as error:  # an instance that cannot be measured is for preprocess to refuse
            log.event(f"length raised {describe(error)}: the request is answered alone")
            return _UNKNOWN

    def _groups(self, parts: list[_Part]) -> Iterator[list[_Part]]:
        kinds: dict[Any, list[_Part]] = {}
        for part in parts:
            kinds.setdefault(_kind(part), []).append(part)
        for alike in kinds.values():
            if self._predictor.length is not None:
                alike.sort(key=lambda part: part.length)
            yield from self._cut(alike)

    def _cut(self, parts: list[_Part]) -> Iterator[list[_Part]]:
        """The parts in their order, as calls that are neither too large nor mostly padding."""
        group: list[_Part] = []
        count, filled = 0, 0.0
        for part in parts:
            size = len(part.decoded.instances)
            fits = count + size <= self._max
            padded = part.length * (count + size) > _PADDED * (filled + part.length * size)
            if group and (not fits or padded):
                yield group
                group, count, filled = [], 0, 0.0
            group.append(part)
            count += size
            filled += part.length * size
        if group:
            yield group

    def _together(self, group: list[_Part]) -> Answered:
        shared: Phases = {}
        for part in group:
            # Whatever went before is waiting, but for its own decoding: its neighbours' among it.
            job = part.job
            job.phases["queue"] = perf_counter() - job.queued - job.phases["decode"]
        try:
            predictions = self._predictor.predictions(_joined(group), shared)
            return self._split(group, predictions, shared)
        except BaseException:
            # Whose fault it is, nobody can say: each alone, from its body, for the handler may have changed
            # the instances.
            return [(part.job, self._alone(part.job)) for part in group]

    def _split(self, group: list[_Part], predictions: Any, shared: Phases) -> Answered:
        answered, at = [], 0
        for part in group:
            end = at + len(part.decoded.instances)
            part.job.phases.update(shared)
            part.job.shared = len(group)
            answered.append((part.job, _encoded(part, predictions[at:end])))
            at = end
        return answered


def _encoded(part: _Part, predictions: Any) -> Reply:
    accepted = part.job.request.accepted
    try:
        with timed(part.job.phases, "encode"):
            body = codecs.encode(predictions, part.decoded.shape, accepted.format)
        return Reply(200, accepted.name, body)
    except Refusal as refusal:
        exchange.note(refusal)
        return exchange.refused(refusal)


def _kind(part: _Part) -> Any:
    """What instances must have in common to be put into one call."""
    instances = part.decoded.instances
    if part.length == _UNKNOWN:
        return part.job
    if isinstance(instances, list):
        return list
    if instances.nbytes > _LARGE:
        return part.job
    return instances.dtype, instances.shape[1:]


def _joined(group: list[_Part]) -> Instances:
    first = group[0].decoded.instances
    if isinstance(first, np.ndarray):
        return np.concatenate([part.decoded.instances for part in group])
    return [instance for part in group for instance in part.decoded.instances]
