"""A process that runs the user's handler sees what the container would show it, and nothing of the kit."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def leave_to_handler() -> None:
    """Take the kit out of the handler's sight, once all of it that is needed is imported.

    In the cloud nothing of the kit but this package is there, and a handler may have an inference.py of its
    own: `import deploy` has to fail here as it would there, and `import inference` has to find the handler's.
    """
    kit = Path(__file__).parents[3]
    sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() not in (kit, Path.cwd())]
    inherited = os.environ.pop("PYTHONPATH", "").split(os.pathsep)
    if kept := [entry for entry in inherited if entry and Path(entry).resolve() != kit]:
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)
    for name in [name for name in sys.modules if name.partition(".")[0] == "inference"]:
        del sys.modules[name]


def write_no_bytecode() -> None:
    """Leave the model's folder as it is: beside what the manifest lists nothing may lie, for a compiled
    module would be run in its source's place."""
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
