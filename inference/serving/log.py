"""The container's log: one line an event, on stderr, with nothing in it that a reader would obey.

Bodies are never written. SageMaker and Vertex AI both collect stderr; no file is written.
"""

from __future__ import annotations

import contextlib
import sys
import traceback
from pathlib import Path
from types import TracebackType

from inference.serving.errors import escaped

_KIT = str(Path(__file__).parent)


def event(message: str) -> None:
    """Write one line."""
    _write(f"slipway: {escaped(message)}\n")


def failure(message: str, error: BaseException | None = None, indent: str = "") -> None:
    """Write the error's traceback from the user's own first frame on, then one sentence.

    While requests are served the traceback is indented, so that an exception's text, which may hold a
    caller's words, can never pass for an event of ours.
    """
    own = _own_traceback(error, indent) if error is not None else ""
    _write(f"{own}slipway: error: {escaped(message)}\n")


def _own_traceback(error: BaseException, indent: str) -> str:
    report = traceback.TracebackException(type(error), error, _without_kit(error.__traceback__))
    lines = "".join(report.format()).rstrip("\n").split("\n")
    return "".join(f"{indent}{escaped(line)}\n" for line in lines)


def _without_kit(frames: TracebackType | None) -> TracebackType | None:
    """The frames without the leading ones of the kit and of the import machinery; all, if they are all."""
    own = frames
    while own is not None and _is_kit(own.tb_frame.f_code.co_filename):
        own = own.tb_next
    return own or frames


def _is_kit(filename: str) -> bool:
    return filename.startswith((_KIT, "<frozen importlib", "<frozen runpy"))


def _write(text: str) -> None:
    # A full disk or a closed pipe behind stderr must not stop the serving.
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()
