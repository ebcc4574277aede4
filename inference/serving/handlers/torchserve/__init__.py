"""A TorchServe handler, unchanged: a BaseHandler, a class with initialize and handle, or a module's function.

It comes as a .mar or as its files, starts in a folder that holds model and code, and gets its requests as a
list: those that arrive together share one call. What TorchServe has beside that is refused by name.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers import Answer, Call, Intake, standins
from inference.serving.handlers.torchserve import answers, entry, manifest, ts
from inference.serving.handlers.torchserve.context import SERVER_VERSION, Context, RequestProcessor
from inference.serving.handlers.torchserve.envelopes import Handle, enveloped
from inference.serving.handlers.torchserve.metrics import Metrics
from inference.serving.handlers.torchserve.received import BadForm, Received, received


@dataclass(frozen=True)
class TorchServeHandler:
    """A loaded handler. `batch_size` and `max_delay_ms` are what its model-config.yaml asks for, None where
    it asks for nothing; `metrics` is what it measures."""

    shape: str
    context: Context
    handle: Handle
    batch_size: int | None = None
    max_delay_ms: float | None = None
    intake: Intake = Intake()
    _one_at_a_time: Any = field(default_factory=Lock)

    @property
    def metrics(self) -> Metrics:
        found: Metrics = self.context.metrics
        return found

    def answer(self, call: Call) -> Answer:
        return self.answer_all([call])[0]

    def answer_all(self, calls: Sequence[Call]) -> list[Answer]:
        """One call of the handler for all. Where that fails each is tried alone: TorchServe fails them all,
        and one bad request would take its neighbours with it."""
        rows = [_received(call) for call in calls]
        good = [row for row in rows if isinstance(row, Received)]
        found = iter(self._answers(good))
        return [next(found) if isinstance(row, Received) else row for row in rows]

    def _answers(self, rows: list[Received]) -> list[Answer]:
        if not rows:
            return []
        answered = self._called(rows)
        if not isinstance(answered, answers.Failure):
            return answered
        if len(rows) == 1:
            return [answered.answer()]
        return [answer for row in rows for answer in self._answers([row])]

    def _called(self, rows: list[Received]) -> list[Answer] | answers.Failure:
        with self._one_at_a_time:
            context = self.context
            context.request_processor = [RequestProcessor(row.headers) for row in rows]
            context.request_ids = {number: str(uuid.uuid4()) for number in range(len(rows))}
            context.metrics.request_ids = context.request_ids
            try:
                results = self.handle([row.row for row in rows], context)
            except BaseException as error:  # sys.exit() in a handler fails its request, not the server
                return answers.raised(error)
            return answers.returned(results, context)


def load(model_dir: Path, handler: str = "", batch_size: int = 1) -> TorchServeHandler:
    """Read the model, import its handler and let it initialize. StartError carries what was raised.

    `handler` is "file.py" or "file.py:name", of a function or a class, where it is not in a manifest;
    `batch_size` is what the handler is told, unless its model-config.yaml says otherwise. This process's
    working folder changes.
    """
    standins.offer("torchserve", ts.MODULES)
    model = manifest.read(model_dir)
    named = model.handler or handler
    if not named:
        raise StartError('no manifest, and no handler named; expected one as "handler.py"')
    asked = model.config.get("batchSize")
    context = _context(model, asked or batch_size)
    os.chdir(model.folder)
    handle = enveloped(entry.started(named, model.folder, context), model.envelope)
    shape = f"TorchServe handler {named}" + (f" in the {model.envelope} envelope" if model.envelope else "")
    intake = Intake("instances", listed=True) if model.envelope == "json" else Intake()
    return TorchServeHandler(shape, context, handle, asked, model.config.get("maxBatchDelay"), intake)


def _context(model: manifest.Model, batch_size: int) -> Context:
    return Context(
        model.name,
        str(model.folder),
        model.manifest,
        batch_size,
        _gpu(),
        SERVER_VERSION,
        metrics=Metrics(model.name),
        model_yaml_config=model.config,
    )


def _gpu() -> int | None:
    # Asked of the machine: torch would have to be imported for it, and be kept from setting the GPU up.
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return 0 if Path("/dev/nvidia0").exists() and not hidden else None


def _received(call: Call) -> Received | Answer:
    try:
        return received(call)
    except BadForm as error:
        return answers.error_answer(400, str(error), kind="BadRequestException")
