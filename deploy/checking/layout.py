"""The archive as a container finds it: unpacked under model/, read-only, with the runtime beside it.

The runtime is copied, so that of Slipway and of the project nothing else can be imported. Its files are those
that go into the image, and they are read as data.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy import unpack

KIT = Path(__file__).resolve().parents[2]
RUNTIME = "inference/serving"
_PREFIX = ".checking-"
_FILE, _FOLDER = 0o444, 0o555


@dataclass(frozen=True)
class Layout:
    """The folders of one container: `ml` is what /opt/ml is there, `home` is all that it may write to."""

    ml: Path
    runtime: Path
    home: Path

    @property
    def model(self) -> Path:
        return self.ml / "model"


@contextlib.contextmanager
def laid_out(archive: Path) -> Iterator[Layout]:
    """Unpack the archive into folders beside it, which are gone afterwards. Raises UnpackError, OSError.

    The runtime is not among them: PYTHONPATH, which names it, takes no path with a colon in it.
    """
    place, runtime = _folder(archive.parent), _folder(Path(tempfile.gettempdir()))
    layout = Layout(place / "ml", runtime, place / "home")
    try:
        layout.model.mkdir(parents=True)
        unpack.unpack(archive, layout.model)
        _make_read_only(layout.model)
        _copy_runtime(layout.runtime)
        for folder in (layout.home / "tmp", layout.home / "work"):
            folder.mkdir(parents=True)
        yield layout
    finally:
        _remove(place)
        _remove(runtime)


def _folder(within: Path) -> Path:
    """A new one, which an ordinary user may look into; what a check that was killed left there is removed."""
    _remove_left(within)
    made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=within)).resolve()
    made.chmod(0o755)
    return made


def _make_read_only(folder: Path) -> None:
    # SageMaker mounts it read-only. The folders last: what is in them is still to be reached.
    for path in sorted(folder.rglob("*"), reverse=True):
        path.chmod(_FOLDER if path.is_dir() else _FILE)
    folder.chmod(_FOLDER)


def _copy_runtime(to: Path) -> None:
    """With what is compiled of it already, which Python takes only where it fits."""
    shutil.copytree(KIT / RUNTIME, to / RUNTIME)
    shutil.copy2(KIT / "inference/__init__.py", to / "inference/__init__.py")


def _remove_left(folder: Path) -> None:
    """Take away what a check left that was killed."""
    for path in folder.glob(f"{_PREFIX}*"):
        maker = re.match(r"[0-9]+", path.name.removeprefix(_PREFIX))
        if maker and not _is_alive(int(maker[0])):
            _remove(path)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _remove(place: Path) -> None:
    for folder, _, _ in os.walk(place):
        with contextlib.suppress(OSError):  # a container that ran as another user made it: rmtree says so
            Path(folder).chmod(0o700)
    shutil.rmtree(place, ignore_errors=True)
