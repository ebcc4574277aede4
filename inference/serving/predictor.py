"""The handler's steps as one function from instances to predictions, each step timed. No HTTP in here.

The server and batch jobs call the same Predictor, so an endpoint and a job answer alike.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from inference.serving.codecs import outputs
from inference.serving.codecs.inputs import Instances
from inference.serving.codecs.outputs import Predictions
from inference.serving.errors import BadBody, HandlerFailed, Refusal, Unavailable

# What a phase took, in seconds by its name.
Phases = dict[str, float]
Step = Callable[[Any], Any]

_END = object()  # of an iterator
# What preprocess says about an instance that it cannot take, as plain Python says it.
_BAD_INSTANCE = (ValueError, TypeError, KeyError)
_FULL = (errno.ENOSPC, errno.EDQUOT)


class timed:
    """Add the seconds that a block takes to `phases`, also where it raises."""

    __slots__ = ("_name", "_phases", "_started")

    def __init__(self, phases: Phases, name: str) -> None:
        self._phases = phases
        self._name = name

    def __enter__(self) -> None:
        self._started = perf_counter()

    def __exit__(self, *_: object) -> None:
        spent = perf_counter() - self._started
        self._phases[self._name] = self._phases.get(self._name, 0.0) + spent


@dataclass(frozen=True)
class Predictor:
    """A loaded handler: its first step's way of taking instances, and its steps.

    `length` tells how long an instance is, so that those of a call are alike; handlers need not have it.
    Where it `streams`, predict yields its answer piece by piece. `batch_size` is the one at which its model
    was measured to do most, 0 where nobody has measured.
    """

    convert: Callable[[Instances], Any]
    preprocess: Step | None
    predict: Step
    postprocess: Step | None
    length: Step | None = None
    streams: bool = False
    batch_size: int = 0

    def predictions(self, instances: Instances, phases: Phases) -> Predictions:
        """One prediction for each instance, in their order; no instances make no call.

        A ValueError, TypeError or KeyError from preprocess means that an instance is wrong: BadBody, which is
        answered 400 with the exception's message. What else a step raises: see `failed`.
        BadPredictions where the last step's count differs.
        """
        count = len(instances)
        if not count:
            return []
        if self.streams:
            return _exhausted(self.gathered(instances, phases))
        with timed(phases, "preprocess"):
            inputs = self._prepared(instances)
        with timed(phases, "predict"):
            returned = _called(self.predict, "predict", inputs)
        with timed(phases, "postprocess"):
            if self.postprocess is not None:
                returned = _called(self.postprocess, "postprocess", returned)
            return outputs.predictions(returned, count, "postprocess" if self.postprocess else "predict")

    def pieces(self, instances: Instances, phases: Phases) -> Generator[Any, None, None]:
        """What predict yields for these instances; what it raises comes as it is."""
        with timed(phases, "preprocess"):
            inputs = self._prepared(instances)
        pieces: Generator[Any, None, None] = self.predict(inputs)
        return pieces

    def gathered(self, instances: Instances, phases: Phases) -> Generator[None, None, list[Any]]:
        """One prediction for each instance, for who takes no stream: its pieces as one text, else as a list.

        It yields after each piece, so that others have their turn, and returns the predictions.
        """
        predictions = []
        for at in range(len(instances)):
            predictions.append((yield from self._whole(instances[at : at + 1], phases)))
        return predictions

    def _whole(self, instances: Instances, phases: Phases) -> Generator[None, None, Any]:
        found = []
        with closing(self.pieces(instances, phases)) as pieces:
            while (piece := _next(pieces, phases)) is not _END:
                found.append(piece)
                yield
        return "".join(found) if found and all(isinstance(one, str) for one in found) else found

    def _prepared(self, instances: Instances) -> Any:
        inputs = self.convert(instances)
        if self.preprocess is None:
            return inputs
        try:
            return self.preprocess(inputs)
        except _BAD_INSTANCE as error:
            raise BadBody(f"preprocess: {describe(error)}") from error
        except BaseException as error:  # as in _called
            raise failed("preprocess", error) from error


def describe(error: BaseException) -> str:
    """The exception's type and message; a KeyError's message alone would be a bare name."""
    try:
        text = str(error)
    except BaseException:  # a handler's own exception may raise anything while it is read
        text = "<its message cannot be read>"
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def failed(step: str, error: BaseException) -> Refusal:
    """What a step's exception is answered with: HandlerFailed (500), but 503 where a disk is full, since that
    is this machine's trouble and not the request's."""
    said = f"{step} raised {describe(error)}"
    if isinstance(error, OSError) and error.errno in _FULL:
        return Unavailable(said, "disk_full")
    return HandlerFailed(said)


def _called(step: Step, name: str, argument: Any) -> Any:
    try:
        return step(argument)
    except BaseException as error:  # sys.exit() in a handler fails its request, not the server
        raise failed(name, error) from error


def _next(pieces: Generator[Any, None, None], phases: Phases) -> Any:
    with timed(phases, "predict"):
        return _called(lambda those: next(those, _END), "predict", pieces)


def _exhausted(gathering: Generator[None, None, list[Any]]) -> list[Any]:
    while True:
        try:
            next(gathering)
        except StopIteration as end:
            return list(end.value)
