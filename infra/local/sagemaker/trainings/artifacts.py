"""What a job leaves, as one archive in S3: streamed, and nothing from outside its folder in it."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker.trainings.channels import Place

_GZIP_LEVEL = 1  # weights hardly shrink


def upload(cloud: Cloud, caller: Caller, archive: Path, url: str) -> None:
    """Puts the file there. Raises AwsError."""
    place = Place.of(url)
    with archive.open("rb") as body:
        cloud.put_object(caller, place.bucket, place.key, body)


def pack(folder: Path, place: Path, say: Callable[[str], None]) -> Path | None:
    """The folder's files as a .tar.gz in `place`, None where there are none.

    A link to a file in the folder is that file; any other link, and what is no file, is left out, and said.
    So is the folder itself where a script has put a link to somewhere outside of `place` there.
    """
    if not folder.resolve().is_relative_to(place.resolve()):
        say(f"{folder.name} is left out: it is a link that leads elsewhere")
        return None
    members = list(_members(folder, say))
    if not members:
        return None
    with tempfile.NamedTemporaryFile(suffix=".tar.gz", dir=place, delete=False) as file:
        with tarfile.open(fileobj=file, mode="w:gz", compresslevel=_GZIP_LEVEL) as tar:
            for path in members:
                _add(tar, path, str(path.relative_to(folder)))
        return Path(file.name)


def _members(folder: Path, say: Callable[[str], None]) -> Iterator[Path]:
    root = folder.resolve()
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted([*names, *(one for one in folders if Path(here, one).is_symlink())]):
            path = Path(here, name)
            if not path.is_file() or not path.resolve().is_relative_to(root):
                say(f"{path.relative_to(folder)} is left out: it is no file, or a link that leads elsewhere")
            else:
                yield path


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    with path.open("rb") as source:
        member = tarfile.TarInfo(name)
        status = os.fstat(source.fileno())
        member.size, member.mtime, member.mode = status.st_size, int(status.st_mtime), 0o644
        tar.addfile(member, source)
