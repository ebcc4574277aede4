"""What OUTPUT holds, read and written; a file of it appears whole or not at all."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from deploy.batch.cloud import Cloud
from deploy.batch.places import BatchError, Place, Remote

PART = ".slipway-part"


@contextmanager
def held(output: Place, names: Iterable[str]) -> Iterator[None]:
    """Keep a local OUTPUT for this process alone, and clear it of what one that was killed left half-written.

    `names` are the files whose results go there: other folders of OUTPUT are not looked into.

    Raises BatchError if it cannot be written, or another process has it. A bucket's prefix needs neither.
    """
    if isinstance(output, Remote):
        yield
        return
    folder = _opened(output)
    try:
        for place in {output, *((output / name).parent for name in names)}:
            for left in place.glob(f".*{PART}"):
                left.unlink(missing_ok=True)
        yield
    finally:
        os.close(folder)  # which lets go of the lock, as the end of a killed process does


def _opened(output: Path) -> int:
    check_writable(output)
    output.mkdir(parents=True, exist_ok=True)
    folder = os.open(output, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(folder)
        raise BatchError(f"{output}: another command writes into it just now: wait for it to end") from None
    except OSError:
        pass  # a file system without locks: two commands at once are not told apart there
    return folder


def check_writable(output: Path) -> None:
    """Raise BatchError if no folder can be made there, or none that holds a file. The try leaves nothing."""
    probe = output / f".{os.getpid()}{PART}"
    try:
        made = [place for place in (output, *output.parents) if not place.exists()]
        output.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"")
        probe.unlink(missing_ok=True)  # one that holds OUTPUT may have cleared it
        for place in made:
            place.rmdir()
    except OSError as error:
        raise BatchError(
            f"{output}: cannot be written: {error.strerror}: name an OUTPUT that is a folder of yours"
        ) from error


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file that takes its name when all went well, and else leaves nothing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}{PART}")
    try:
        with part.open("wb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def text(cloud: Cloud, output: Place, name: str) -> bytes:
    """What the file of that name holds; nothing if there is none."""
    if isinstance(output, Path):
        path = output / name
        return path.read_bytes() if path.is_file() else b""
    if not cloud.storage.found(cloud.config, output / name):
        return b""
    with cloud.storage.opened(cloud.config, output / name) as stream:
        return b"".join(iter(lambda: stream.read(2**20), b""))


def write(cloud: Cloud, output: Place, name: str, body: bytes) -> None:
    """Make a small file; an empty one is none, and an older one is then removed."""
    if isinstance(output, Remote):
        if body:
            cloud.storage.put(cloud.config, output / name, body)
        elif cloud.storage.found(cloud.config, output / name):
            cloud.storage.remove(cloud.config, [output / name])
    elif body:
        with written(output / name) as file:
            file.write(body)
    else:
        (output / name).unlink(missing_ok=True)


def there(output: Path, names: Iterable[str]) -> list[str]:
    """Those of the files that have an `.out`."""
    return [name for name in names if (output / f"{name}.out").exists()]


def digest(path: Path) -> str:
    """The SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
