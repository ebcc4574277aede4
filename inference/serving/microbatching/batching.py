"""Requests that came together answered by shared calls of the handler, each as if it had come alone.

What can be put into one call is: lists with lists, arrays with arrays of the same form. A call that
fails is done again for each of its requests alone, so that a bad instance costs its own request and no other.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from inference.serving import codecs, exchange, log
from inference.serving.codecs import Decoded
from inference.serving.codecs.inputs import Instances
from inference.serving.errors import Refusal
from inference.serving.exchange import Reply
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.grouping import Costs, Size, cut
from inference.serving.predictor import Phases, Predictor, describe, timed

# Bytes of arrays that are put together. It is a copy, which costs less than a network's call as long as it
# stays in the processor's cache: pictures of 600 KB took 0.6 of the time, four at once or sixteen.
_COPIED = 4 * 2**20
_UNKNOWN = float("inf")

Answered = list[tuple[Job, Reply]]


class _Part(NamedTuple):
    """A job's instances, how many they are, and how long the longest of them is (0 where nobody says)."""

    job: Job
    decoded: Decoded
    size: Size


class Batches:
    """Answers jobs with a loaded handler, at most `max_instances` of them in a call but for one large job."""

    def __init__(self, predictor: Predictor, max_instances: int) -> None:
        self._predictor = predictor
        self._max = max_instances
        self._costs = Costs()

    def answers(self, jobs: Sequence[Job]) -> Iterator[Answered]:
        """The jobs with their replies, as they are done; every phase is then in the job's `phases`."""
        if len(jobs) == 1:
            yield [(jobs[0], self._alone(jobs[0]))]
            return
        parts, refused = self._decoded(jobs)
        if refused:
            yield refused
        for group in self._groups(parts):
            yield self._together(group) if len(group) > 1 else [self._by_itself(group[0])]

    def _alone(self, job: Job) -> Reply:
        return exchange.answer(partial(exchange.attempt, self._predictor), job.request, job.phases)

    def _by_itself(self, part: _Part) -> tuple[Job, Reply]:
        def attempt(request: exchange.Request, phases: Phases) -> Reply:
            return exchange.completed(self._predictor, request, part.decoded, phases)

        answered = exchange.answer(attempt, part.job.request, part.job.phases)
        self._learn([part], part.job.phases)
        return part.job, answered

    def _decoded(self, jobs: Sequence[Job]) -> tuple[list[_Part], Answered]:
        parts, refused = [], []
        for job in jobs:
            try:
                with timed(job.phases, "decode"):
                    decoded = exchange.decoded(self._predictor, job.request)
                parts.append(_Part(job, decoded, self._size(decoded.instances)))
            except Refusal as refusal:
                exchange.note(refusal)
                refused.append((job, exchange.refused(refusal)))
            except BaseException as error:
                refused.append((job, exchange.unexpected(error)))
        return parts, refused

    def _size(self, instances: Instances) -> Size:
        length = self._predictor.length
        if length is None:
            return Size(len(instances), 0.0)
        try:
            return Size(len(instances), max((float(length(one)) for one in instances), default=0.0))
        except Exception as error:  # an instance that cannot be measured is for preprocess to refuse
            log.event(f"length raised {describe(error)}: the request is answered alone")
            return Size(len(instances), _UNKNOWN)

    def _groups(self, parts: list[_Part]) -> Iterator[list[_Part]]:
        kinds: dict[Any, list[_Part]] = {}
        for part in parts:
            kinds.setdefault(_kind(part), []).append(part)
        for alike in kinds.values():
            most = min(self._max, _copied(alike[0]))
            measured = 0 < max(part.size.length for part in alike) < _UNKNOWN
            yield from self._by_length(alike, most) if measured else _in_order(alike, most)

    def _by_length(self, parts: list[_Part], most: int) -> Iterator[list[_Part]]:
        """The parts as those calls that are likely to take the least time."""
        parts.sort(key=lambda part: part.size.length)
        sizes = [part.size for part in parts]
        usual = sum(size.length for size in sizes) / len(sizes)
        for those in cut(sizes, self._costs.prices(usual), most):
            yield parts[those]

    def _together(self, group: list[_Part]) -> Answered:
        shared: Phases = {}
        for part in group:
            # Whatever went before is waiting, but for its own decoding: its neighbours' among it.
            job = part.job
            job.phases["queue"] = perf_counter() - job.queued - job.phases["decode"]
        try:
            predictions = self._predictor.predictions(_joined(group), shared)
            self._learn(group, shared)
            return self._split(group, predictions, shared)
        except BaseException:
            # Whose fault it is, nobody can say: each alone, from its body, for the handler may have changed
            # the instances.
            return [(part.job, self._alone(part.job)) for part in group]

    def _learn(self, group: list[_Part], phases: Phases) -> None:
        if 0 < group[-1].size.length < _UNKNOWN and "predict" in phases:
            steps = (phases.get(name, 0.0) for name in ("preprocess", "predict", "postprocess"))
            self._costs.learn([part.size for part in group], sum(steps))

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
    if part.size.length == _UNKNOWN:
        return part.job
    if isinstance(instances, list):
        return list
    return instances.dtype, instances.shape[1:]


def _in_order(parts: list[_Part], most: int) -> Iterator[list[_Part]]:
    """The parts in their order, as calls of at most so many instances."""
    group: list[_Part] = []
    count = 0
    for part in parts:
        if group and count + part.size.instances > most:
            yield group
            group, count = [], 0
        group.append(part)
        count += part.size.instances
    yield group


def _copied(part: _Part) -> int:
    """How many instances of this kind may be copied to put them together; a list copies none."""
    instances = part.decoded.instances
    if isinstance(instances, list) or not instances.nbytes:
        return sys.maxsize
    return _COPIED * len(instances) // instances.nbytes


def _joined(group: list[_Part]) -> Instances:
    first = group[0].decoded.instances
    if isinstance(first, np.ndarray):
        return np.concatenate([part.decoded.instances for part in group])
    return [instance for part in group for instance in part.decoded.instances]
