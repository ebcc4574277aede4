"""`python -m inference.serving.handlers`: what the runtime takes a folder for, told to a program in JSON.

    recognise FOLDER         {"readings": [{shape, file, name, line, choice, text}, …], "image": "PyTorch"}
    unpack MODEL.mar FOLDER  {}

One reading is the handler, several are what it might be; SLIPWAY_HANDLER decides. Nothing of the user's is
run. A failure is {"error": a sentence}, and exit status 1.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers import shapes, starting
from inference.serving.handlers.readings import Reading, Shape
from inference.serving.handlers.sagemaker.images import image_of
from inference.serving.handlers.torchserve import mar
from inference.serving.model.archive import ArchiveError


def main(arguments: list[str]) -> int:
    """Do one verb; the exit status."""
    try:
        told = _told(arguments)
    except (StartError, ArchiveError) as error:
        told = {"error": str(error)}
    print(json.dumps(told))
    return 1 if "error" in told else 0


def _told(arguments: list[str]) -> dict[str, Any]:
    match arguments:
        case ["recognise", folder]:
            return _recognised(Path(folder))
        case ["unpack", archive, folder]:
            mar.unpack(Path(archive), Path(folder))
            return {}
    return {"error": f"{arguments}: expected recognise FOLDER, or unpack MODEL.mar FOLDER"}


def _recognised(folder: Path) -> dict[str, Any]:
    stated = os.environ.get(shapes.SETTING)
    found = [shapes.entry(folder, os.environ)] if stated else shapes.candidates(folder, os.environ)
    is_aws = any(each.shape is Shape.SAGEMAKER for each in found)
    image = image_of(starting.code_dir(folder), os.environ).name if is_aws else ""
    return {"readings": [_described(each) for each in found], "image": image}


def _described(reading: Reading) -> dict[str, Any]:
    return {
        "shape": reading.shape.name,
        "file": reading.file,
        "name": reading.name,
        "line": reading.line,
        "choice": reading.choice,
        "text": str(reading),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
