"""A local cloud as its own process, for tests that need one with settings of theirs."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from waiting import until

ROOT = Path(__file__).parents[1]


@contextmanager
def running(home: Path, settings: Mapping[str, str]) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """Its address and process, under these SLIPWAY_LOCAL_* settings; killed if it still runs in the end."""
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "AWS_"))},
        **{f"SLIPWAY_LOCAL_{name}": value for name, value in settings.items()},
        "SLIPWAY_LOCAL_HOME": str(home),
        "PYTHONPATH": str(ROOT),
    }
    with (home / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.serve"], cwd=home, env=environ, stdout=log, stderr=log
        )
    try:
        until(lambda: (home / "state.json").exists() or process.poll() is not None, 60)
        assert process.poll() is None, (home / "log").read_text()
        port = json.loads((home / "state.json").read_text())["port"]
        yield f"http://127.0.0.1:{port}", process
    finally:
        process.kill()
        process.wait(30)
