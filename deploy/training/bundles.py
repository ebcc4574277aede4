"""What travels to a training job: the script's folder, and the folders of data, each known by its content.

A bundle's digest is that of its files' names and bytes. It is part of the address at which the bundle lies in
the bucket, so what was uploaded once is there for every later job, and an address never holds anything else.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy.batch.places import SCHEME
from deploy.denylist import find_secret, is_text
from deploy.package.members import Member, PackageError, contents
from deploy.training.entries import CODE, MAX_CHANNELS, wrong_channel_name

SEARCHED_BYTES = 4 * 1024 * 1024  # larger files of code are not searched for secrets, as in packaging


@dataclass(frozen=True)
class File:
    """A file that travels: its name under the channel's folder, and what it was when it was read."""

    name: str
    path: Path
    size: int
    changed_ns: int


@dataclass(frozen=True)
class Bundle:
    """One channel: files of this machine with their digest (64 hex), or a bucket's prefix where data lies."""

    channel: str
    files: tuple[File, ...] = ()
    digest: str = ""
    uri: str = ""


Progress = Callable[[int], None]  # takes the bytes read since it was last called


def code(folder: Path, launchers: Sequence[Path], progress: Progress) -> Bundle:
    """The project's training/ with the kit's launchers in it, whatever lies there under their names.

    PackageError for a folder without train.py, for what must not travel, and for what looks like a secret.
    """
    script = folder / "train.py"
    if not script.is_file():
        raise PackageError(str(script), "is not there", "write the script that trains the model")
    members = {member.name: member for member in _inside(folder, "write train.py in it")}
    for member in members.values():
        _refuse_secrets(member)
    # They start train.py as a platform wants it: SageMaker's, and Vertex AI's, which needs the other, too.
    kit = {one.name: Member(one.name, os.fsencode(one), one.stat().st_size) for one in launchers}
    return _bundle(CODE, list((members | kit).values()), progress)


@dataclass(frozen=True)
class Data:
    """Where the data is: the project, the channels of its deploy.toml, and the scheme of the cloud's URIs."""

    project: Path
    configured: Mapping[str, str]
    scheme: str


def channels(data: Data, progress: Progress) -> list[Bundle]:
    """The data: the channels of deploy.toml, or without any the folders of the project's data/.

    PackageError for a folder that is missing, empty, or badly named for a channel, and for another cloud's
    URI.
    """
    folder = data.project / "data"
    places = data.configured or {one.name: str(one) for one in _data_folders(folder)}
    if len(places) > MAX_CHANNELS:
        raise PackageError(str(folder), f"has {len(places)} folders", f"a job takes {MAX_CHANNELS} channels")
    for name, place in places.items():
        _refuse_elsewhere(name, place, data.scheme)
    return [_channel(data, name, place, progress) for name, place in sorted(places.items())]


def _refuse_elsewhere(name: str, place: str, scheme: str) -> None:
    found = SCHEME.fullmatch(place)
    if found and found[1] != scheme:
        where = f"deploy.toml: [training.channels]: {name}"
        raise PackageError(
            where, f"is {place!r}", f"expected a folder or {scheme}://bucket/prefix on this cloud"
        )


def _data_folders(data: Path) -> list[Path]:
    found = sorted(data.iterdir()) if data.is_dir() else []
    folders = [folder for folder in found if folder.is_dir() and not folder.name.startswith(".")]
    for folder in folders:
        if wrong := wrong_channel_name(folder.name):
            raise PackageError(str(folder), wrong, "rename it, or name the folders in [training.channels]")
    return folders


def _channel(data: Data, name: str, place: str, progress: Progress) -> Bundle:
    if SCHEME.fullmatch(place):
        return Bundle(name, uri=place)
    fix = f"[training.channels] {name} names a folder with the data, or {data.scheme}://bucket/prefix"
    return _bundle(name, _inside(data.project / place, fix), progress)


def _inside(folder: Path, fix: str) -> list[Member]:
    """The files of a folder by their names in it, of which none is the kit's own as in an archive's code/."""
    found = contents(folder, "files", fix)
    return [replace(member, name=member.name.removeprefix("files/")) for member in found]


def _bundle(channel: str, members: list[Member], progress: Progress) -> Bundle:
    digests: dict[str, str] = {}
    files = []
    for member in sorted(members, key=lambda member: member.name.encode()):
        file, digests[member.name] = _read(member, progress)
        files.append(file)
    listed = json.dumps(digests, sort_keys=True, separators=(",", ":"))
    return Bundle(channel, tuple(files), hashlib.sha256(listed.encode()).hexdigest())


def _read(member: Member, progress: Progress) -> tuple[File, str]:
    """The file as it is now, and the SHA-256 of its bytes."""
    path, sha256 = Path(os.fsdecode(member.source)), hashlib.sha256()
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with open(os.open(path, flags), "rb", buffering=0) as file:  # noqa: PTH123  # a link is not followed
            seen = os.fstat(file.fileno())
            while piece := file.read(1024 * 1024):
                sha256.update(piece)
                progress(len(piece))
    except OSError as error:
        raise PackageError(member.place, error.strerror or str(error), "make it readable") from error
    return File(member.name, path, seen.st_size, seen.st_mtime_ns), sha256.hexdigest()


def changed(file: File) -> bool:
    """Whether a file is not what it was when its bundle was made, or is gone."""
    try:
        now = file.path.stat()
    except FileNotFoundError:
        return True
    return (now.st_size, now.st_mtime_ns) != (file.size, file.changed_ns)


def _refuse_secrets(member: Member) -> None:
    if member.size > SEARCHED_BYTES:
        return
    try:
        content = Path(os.fsdecode(member.source)).read_bytes()
    except OSError as error:
        raise PackageError(member.place, error.strerror or str(error), "make it readable") from error
    if is_text(content) and (finding := find_secret(content)):
        fix = "take it out, and give the job's role or service account the access instead"
        raise PackageError(f"{member.place}:{finding.line}", f"looks like {finding.kind}", fix)
