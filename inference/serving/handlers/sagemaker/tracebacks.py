"""A traceback as text for an answer: as AWS's toolkit sends it, without the frames of the serving runtime."""

from __future__ import annotations

import traceback
from pathlib import Path

_OURS = str(Path(__file__).parents[1])


class _Frames(traceback.StackSummary):
    def __bool__(self) -> bool:
        return True  # the line above the frames stands also where none of them is left


def text(error: BaseException) -> str:
    """The error with its causes, each from the handler's own frames on."""
    report = traceback.TracebackException.from_exception(error)
    _leave_out_ours(report)
    return "".join(report.format())


def _leave_out_ours(report: traceback.TracebackException) -> None:
    if report.stack:
        report.stack = _Frames(frame for frame in report.stack if not frame.filename.startswith(_OURS))
    for other in (report.__cause__, report.__context__, *(report.exceptions or ())):
        if other is not None:
            _leave_out_ours(other)
