"""The same files without a cloud: the serving runtime's own batch engine, as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from deploy.batch.places import SCHEME, BatchError
from deploy.sections import Batch

KIT = Path(__file__).resolve().parents[2]
SETTINGS = ("header", "on_error", "join", "accept")


def command(engine: str, archive: Path, places: Sequence[str], settings: Batch) -> list[str]:
    """What scores an input into an output, both of this machine. Raises BatchError for what it cannot do."""
    remote = [place for place in places if SCHEME.fullmatch(place)]
    if remote:
        raise BatchError(f"{remote[0]}: without a cloud (--engine {engine}) INPUT and OUTPUT are local paths")
    if settings.input_filter or settings.output_filter:
        raise BatchError(
            f"[batch] input_filter and output_filter are the platform's: --engine {engine} goes without them"
        )
    options = {f"--{name.replace('_', '-')}": getattr(settings, name) for name in SETTINGS}
    said = [word for option, value in options.items() if value for word in (option, value)]
    paths = [str(Path(place).absolute()) for place in places]
    model = ["--model", str(archive.absolute()), "--engine", engine]
    return [sys.executable, "-m", "inference.serving", "batch", *paths, *model, *said]


def run(words: Sequence[str], environment: Mapping[str, str]) -> int:
    """The command's exit status, run with what a container would have in its `environment`. Ctrl-C reaches it
    as it reaches this process, and both end."""
    named = [word for name in environment for word in ("--env", name)]
    with subprocess.Popen([*words, *named], cwd=KIT, env={**os.environ, **environment}) as process:
        try:
            return process.wait()
        except KeyboardInterrupt:
            process.wait()
            raise
