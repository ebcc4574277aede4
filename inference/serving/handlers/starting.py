"""What starting any old handler takes: its module imported, its own code called, its files in one folder.

Whatever the user's code raises here ends the start as a StartError that carries it, traceback and all.
"""

from __future__ import annotations

import atexit
import importlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from inference.serving.errors import StartError
from inference.serving.handlers import standins
from inference.serving.predictor import describe

_CODE = "code"
# Slipway's own, and no file of the user's.
_OURS = {"manifest.json"}


def code_dir(model_dir: Path) -> Path:
    """Where the handler's files lie: in code/, or beside the model where there is no such folder."""
    folder = model_dir / _CODE
    return folder if folder.is_dir() else model_dir


def imported(name: str, *folders: Path) -> ModuleType:
    """The module of this name, the folders first on sys.path; StartError where that fails."""
    sys.path[:0] = [str(folder) for folder in folders if str(folder) not in sys.path]
    try:
        return importlib.import_module(name)
    except SyntaxError as error:
        place = f"{Path(error.filename or name).name} line {error.lineno}"
        raise StartError(f"{name}: syntax error in {place}: {error.msg}") from error
    except ImportError as error:
        raise StartError(f"{name}: {describe(error)}; {_remedy(error.name or '')}") from error
    except BaseException as error:  # sys.exit() in a handler ends the start as well
        raise StartError(f"{name}: importing it raised {describe(error)}") from error


def called(what: str, function: Callable[..., Any], *arguments: Any) -> Any:
    """What the user's function returns; StartError says what raised."""
    try:
        return function(*arguments)
    except BaseException as error:  # as above
        raise StartError(f"{what} raised {describe(error)}") from error


def one_folder(model_dir: Path) -> Path:
    """A folder of links to the model's files and, beside them, the files of code/: old servers had both in
    one place. The model's win. The folder may be written to, and goes when this process exits.
    """
    folder = temporary_folder()
    if (model_dir / _CODE).is_dir():
        link_files(model_dir / _CODE, folder, leave_out=_OURS)
    link_files(model_dir, folder, leave_out={_CODE})
    return folder


def temporary_folder() -> Path:
    """A new folder that goes when this process exits; a worker that is forked from it leaves it alone."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="slipway-handler-"))
    except OSError as error:
        raise StartError(
            f"no folder for the handler's files: {error}; name one that can be written to in TMPDIR"
        ) from error
    atexit.register(_remove, folder, os.getpid())
    return folder


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)


def link_files(source: Path, destination: Path, leave_out: set[str] | None = None) -> None:
    """Every file below `source` as a link at the same place below `destination`, over what is there. Names
    right below `source` may be left out."""
    source = source.resolve()
    for folder, subfolders, files in os.walk(source):
        place = destination / Path(folder).relative_to(source)
        place.mkdir(exist_ok=True)
        if Path(folder) == source and leave_out:
            subfolders[:] = [name for name in subfolders if name not in leave_out]
            files = [name for name in files if name not in leave_out]
        for name in files:
            if place != Path(folder):
                (place / name).unlink(missing_ok=True)
                (place / name).symlink_to(Path(folder, name))


def _remedy(module: str) -> str:
    if package := standins.package_of(module):
        return f"Slipway has the part of {package} that serves; put {package} into inference/requirements.txt"
    return "a package belongs in inference/requirements.txt, a module of yours beside the handler"
