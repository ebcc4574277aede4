"""The container, run in a process that has given up its rights: what to give it, and what was seen of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.checking import Broken, inside
from deploy.checking.container import Outcome
from deploy.checking.layout import Layout
from deploy.target import Say

KIT = Path(__file__).resolve().parents[2]
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"


def variables(layout: Layout, python: Path, container: Mapping[str, str]) -> dict[str, str]:
    """All that a container's process is told: `container` is what it is told on the platform, too."""
    return {
        **container,
        "PATH": f"{python.parent}:{_SYSTEM_PATH}",
        "HOME": str(layout.home),
        "TMPDIR": str(layout.home / "tmp"),
        # The runtime takes it out of the handler's sight.
        "PYTHONPATH": str(layout.runtime),
        "LOGNAME": "slipway",
        "LANG": "C.UTF-8",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "SAGEMAKER_BASE_DIR": str(layout.ml),
        "SAGEMAKER_BIND_TO_PORT": "0",  # 8080 may be another's where the network is this machine's
    }


def run(order: inside.Order, say: Say) -> Outcome:
    """What was seen. Ctrl-C ends the container with this. Raises Broken."""
    command = [sys.executable, "-m", "deploy.checking.inside"]
    with subprocess.Popen(
        command,
        cwd=KIT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to pass on
    ) as process:
        try:
            return _followed(process, order, say)
        finally:
            process.terminate()
            process.wait()


def _followed(process: subprocess.Popen[str], order: inside.Order, say: Say) -> Outcome:
    assert process.stdin is not None and process.stdout is not None and process.stderr is not None
    with contextlib.suppress(BrokenPipeError):  # why it ended, it has said
        process.stdin.write(inside.written(order))
        process.stdin.close()
    for line in process.stdout:
        told = json.loads(line)
        if "outcome" in told:
            return inside.read(told["outcome"])
        say(told["state"])
    raise Broken(process.stderr.read().strip() or f"exit status {process.wait()}")
