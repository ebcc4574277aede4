"""One kind of variant, made and tried: a process of its own, which leaves its findings in a file."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from inference.serving.codecs import outputs
from inference.serving.errors import StartError
from inference.serving.optimize import answers, recording, rows, speed
from inference.serving.optimize.answers import Difference
from inference.serving.optimize.kinds import EAGER, KINDS, Kind, weights
from inference.serving.optimize.recording import NotOptimized, Recording
from inference.serving.optimize.rows import Order, Row
from inference.serving.predictor import Predictor, describe
from inference.serving.processes.isolation import leave_to_handler, write_no_bytecode
from inference.serving.startup import loading, variant
from inference.serving.startup.variant import Variant

_FORK_S = 60.0
_THREADS = Path("/proc/self/task")
_SHOWN = 200


@dataclass(frozen=True)
class _Subject:
    predictor: Predictor
    instances: list[Any]
    bodies: list[bytes]
    recording: Recording

    @property
    def handler(self) -> Any:
        return recording.handler_of(self.predictor)

    def used(self, model: Any) -> Predictor:
        """The predictor, with this in the model's place."""
        setattr(self.handler, self.recording.attribute, model)
        return self.predictor


def run(arguments: list[str]) -> None:
    """The whole process: `arguments` are the order, and the file for what is found."""
    order, place = Order(**json.loads(arguments[0])), Path(arguments[1])
    try:
        found = tried(order)
    except (NotOptimized, StartError) as error:
        found = Row(order.kind, _one_line(str(error)))
    except BaseException as error:  # whatever the handler, torch or a converter raises is this row's matter
        found = Row(order.kind, _one_line(describe(error)))
        sys.excepthook(type(error), error, error.__traceback__)
    place.write_text(rows.written(found))
    sys.stderr.flush()
    os._exit(0)  # a library's threads do not hold it up


def _one_line(text: str) -> str:
    line = next((line.strip() for line in text.splitlines() if line.strip()), text)
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 1]}…"


def tried(order: Order) -> Row:
    """Make the kind, put it in place, and measure it beside the model itself."""
    subject = _subject(order)
    if order.kind == EAGER:
        return _eager(subject, order)
    kind = next(one for one in KINDS if one.name == order.kind)
    made, folder = _made(kind, subject, order), Path(order.folder)
    model, before, began = subject.recording.module, _threads(), time.perf_counter()
    expected = _answers(subject)
    variant.place(made.variant, subject.handler, folder, threads=1)
    lighter = getattr(subject.handler, subject.recording.attribute)
    found = _answers_without(subject, model, kind)
    start_s = time.perf_counter() - began
    forks = _threads() <= before
    if forks:
        _check_fork(subject)
    rates = speed.compared(
        speed.Work(subject.bodies, order.seconds),
        (lambda: subject.used(model), lambda: variant.suited(subject.used(lighter), made.variant)),
    )
    difference = answers.worst(*(answers.compared(*pair) for pair in zip(found, expected, strict=True)))
    variant.write(made.variant, folder)
    pairs = {size: (one, other) for size, (one, other) in rates.items()}
    return Row(order.kind, "", pairs, difference, made.size, start_s, forks, subject.recording.attribute)


@dataclass(frozen=True)
class _Made:
    variant: Variant
    size: int


def _made(kind: Kind, subject: _Subject, order: Order) -> _Made:
    made = kind.make(subject.recording, Path(order.folder))
    draft = Variant(kind.name, subject.recording.attribute, "", 1, made.file, order.made_for)
    return _Made(replace(draft, needs=made.needs, processor=made.processor, form=made.form), made.size)


def _eager(subject: _Subject, order: Order) -> Row:
    began = time.perf_counter()
    subject.predictor.predictions(subject.instances[:1], {})
    start_s = time.perf_counter() - began
    rates = speed.compared(speed.Work(subject.bodies, order.seconds), (lambda: subject.predictor,))
    return Row(
        order.kind,
        rates={size: (one, one) for size, (one,) in rates.items()},
        difference=Difference(1.0, 0.0, 1.0),
        size=weights(subject.recording.module),
        start_s=start_s,
        attribute=subject.recording.attribute,
        others=subject.recording.others,
    )


def _subject(order: Order) -> _Subject:
    """The handler, loaded as a worker loads it, and how the instances go through its model."""
    write_no_bytecode()
    bodies = [line for line in Path(order.instances).read_bytes().splitlines() if line.strip()]
    leave_to_handler()
    loaded = loading.load(Path(order.model_dir))
    if not isinstance(loaded, Predictor):
        raise NotOptimized(f"{loaded.shape}: so far a handler with a class Handler alone can be optimized")
    if loaded.streams:
        raise NotOptimized("Handler.predict streams, which so far cannot be optimized")
    torch: Any = sys.modules.get("torch")
    if torch is None:
        raise NotOptimized("the handler does not use torch, which is what can be made lighter")
    torch.set_num_threads(1)  # as each of several workers has
    instances = [json.loads(body) for body in bodies]
    return _Subject(loaded, instances, bodies, recording.record(loaded, instances))


def _answers(subject: _Subject) -> tuple[list[Any], list[Any]]:
    """The predictions for the instances one by one, and some at once."""
    predict = subject.predictor.predictions
    alone = [outputs.plain(list(predict([one], {})))[0] for one in subject.instances]
    return alone, outputs.plain(list(predict(subject.instances[:16], {})))


def _answers_without(subject: _Subject, model: Any, kind: Kind) -> tuple[list[Any], list[Any]]:
    """The same from a variant in the model's place. NotOptimized where it is the model that answers yet."""
    called: list[bool] = []
    hook = model.register_forward_pre_hook(lambda *_: called.append(True))
    try:
        found = _answers(subject)
    finally:
        hook.remove()
    if called and kind.name != "compile":  # which runs the model's own code
        raise NotOptimized(
            f"the samples still reach the model itself: what the handler calls is not self."
            f"{subject.recording.attribute} alone, or their calls are not all of one form"
        )
    return found


def _threads() -> int:
    return len(list(_THREADS.iterdir())) if _THREADS.is_dir() else 0


def _check_fork(subject: _Subject) -> None:
    """Have a forked process answer, as the server's workers are. NotOptimized where it does not."""
    child = os.fork()
    if not child:
        _answer_and_leave(lambda: subject.predictor.predictions(subject.instances[:2], {}))
    status = _ended(child)
    if status != 0:
        raise NotOptimized("a process forked from the one that has loaded it does not answer")


def _answer_and_leave(answer: Callable[[], object]) -> None:
    status = 1
    try:
        answer()
        status = 0
    finally:
        os._exit(status)


def _ended(child: int) -> int:
    end = time.monotonic() + _FORK_S
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return -1
