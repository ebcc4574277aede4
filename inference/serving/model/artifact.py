"""AIP_STORAGE_URI to a model folder: Vertex AI names the copy of the model that its container downloads.

Below the address lies either the model's own files, or the one object `model.tar.gz`, which is the archive
that SageMaker unpacks. Whoever may write there decides no place on this machine: names are checked first.
Source: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements#artifacts
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from inference.serving import log
from inference.serving.errors import StartError, shown
from inference.serving.model import archive, storage
from inference.serving.model.storage import Object, Storage, StorageError
from inference.serving.settings import Artifact

ARCHIVE = "model.tar.gz"
_ARCHIVE_ALONE = PurePosixPath(ARCHIVE)
_AT_ONCE = 8
_MOST_OBJECTS = 100_000
_LONGEST_NAME = 1024
_DEEPEST = 32
_REMEDIES = {
    401: "the container's service account was not accepted; give the endpoint or the job one that is enabled",
    403: "give the container's service account the role roles/storage.objectViewer on the bucket",
    404: "expected a bucket and objects that are there; was the model's artifact deleted?",
}


def fetch(artifact: Artifact, place: Storage, folder: Path) -> Path:
    """Download what lies below the address into `folder`, which is new; returns the model's folder in it.

    StartError, with the address, where it cannot be had, is empty, or holds what may not be written.
    """
    started = time.perf_counter()
    downloaded = folder / "downloaded"
    try:
        named = _named(artifact, place)
        _download_all(place, named, downloaded)
    except (_Refused, StorageError) as error:
        remedy = _REMEDIES.get(getattr(error, "status", 0), "")
        raise _failed(artifact, f"{error}{remedy and '; '}{remedy}") from None
    except OSError as error:
        raise _failed(artifact, _reason(error)) from error
    seconds = time.perf_counter() - started
    log.event(f"downloaded {len(named)} files of {artifact.uri} in {seconds:.2f} s")
    return _unpacked(downloaded / ARCHIVE, folder) if set(named) == {_ARCHIVE_ALONE} else downloaded


def _unpacked(packed: Path, folder: Path) -> Path:
    archive.unpack(packed, folder / "model")
    packed.unlink()
    return folder / "model"


def _failed(artifact: Artifact, reason: str) -> StartError:
    return StartError(f"AIP_STORAGE_URI: {shown(artifact.uri)}: {reason}")


class _Refused(Exception):
    """What is wrong, without the address."""


def _named(where: Artifact, place: Storage) -> dict[PurePosixPath, Object]:
    """The objects by their path below the prefix; none of them two, and none where another's folder is."""
    found: dict[PurePosixPath, Object] = {}
    for one in storage.objects(place, where.bucket, where.prefix):
        name = one.name.removeprefix(where.prefix)
        if name and not name.endswith("/"):  # a console makes such objects for folders
            found[_path(name)] = one
        if len(found) > _MOST_OBJECTS:
            raise _Refused(f"holds more than {_MOST_OBJECTS:,} objects; expected a model's files")
    if not found:
        raise _Refused("holds no objects; expected a model's files, or model.tar.gz")
    _refuse_files_as_folders(found)
    return found


def _path(name: str) -> PurePosixPath:
    if not name.isprintable() or "\\" in name:
        raise _Refused(f"{shown(name)}: expected a name without control characters and backslashes")
    parts = name.split("/")
    # An empty part too: `a//b` and `a/b` are two objects, and would be one file.
    if not set(parts).isdisjoint({"", ".", ".."}):
        raise _Refused(f"{shown(name)} is no path below the address; expected names without '..' and '//'")
    if len(name.encode()) > _LONGEST_NAME or len(parts) > _DEEPEST or max(map(len, parts)) > 255:
        raise _Refused(f"{shown(name)}: expected at most {_LONGEST_NAME} bytes and {_DEEPEST} folders")
    return PurePosixPath(name)


def _refuse_files_as_folders(paths: Iterable[PurePosixPath]) -> None:
    files = set(paths)
    for path in files:
        if clash := files.intersection(path.parents):
            raise _Refused(f"{shown(str(clash.pop()))} is an object and the folder of {shown(str(path))}")


def _download_all(place: Storage, named: dict[PurePosixPath, Object], folder: Path) -> None:
    for path in named:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="download") as threads:
        try:
            list(threads.map(lambda item: _download(place, item[1], folder / item[0]), named.items()))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _download(place: Storage, found: Object, path: Path) -> None:
    with path.open("xb") as file:
        try:
            storage.download(place, found, file)
        except StorageError as error:
            raise StorageError(f"{shown(found.name)}: {error}", error.status) from None
    path.chmod(0o444)


def _reason(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "does not fit: the disk is full"
    return f"cannot be written here: {error.strerror} ({error.filename})"
