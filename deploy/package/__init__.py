"""model.tar.gz from a model and its code: the same bytes from the same files, wherever and whenever built.

Weights lie at the root and the handler under `code/`, as SageMaker's PyTorch layout has it, and the last
member is a manifest with the SHA-256 of every file, which the runtime checks at start. The manifest's own
SHA-256 names the version, so what is deployed is known by its content and by nothing else: neither the
machine nor the release of zlib, which alone may change the archive's bytes, is in that digest.

Secrets: every name is held against a deny-list, and so is the content of text files up to 4 MB. Larger and
binary files are checked by name only. There is no switch that lets one through.
"""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from deploy.package import variants
from deploy.package.generators import streams
from deploy.package.members import Member, PackageError, collect, contents, folders, shown
from deploy.package.preflight import check_handler, check_samples, is_of_another_server
from deploy.package.tarball import Progress, TarballWriter

__all__ = ["Archive", "Beside", "PackageError", "build", "check", "is_of_another_server", "streams"]


@dataclass(frozen=True)
class Archive:
    """A built archive.

    `digest` is the SHA-256 (64 hex) of its manifest, `size` its bytes on disk, `members` the number of
    files in it, the manifest included.
    """

    path: Path
    digest: str
    size: int
    members: int


def check(code_dir: Path, model_dir: Path | None = None) -> None:
    """Raise PackageError for a handler or samples that could not be served; some models need no handler."""
    with _readable(code_dir):
        check_handler(code_dir, model_dir)
        check_samples(code_dir / "samples.jsonl")


@dataclass(frozen=True)
class Beside:
    """What goes in beside the model and its code, each where it is there.

    `variant` is the folder that `optimize` leaves: optimized/ in the archive. The files of `root` lie at the
    archive's root, beside the weights.
    """

    variant: Path | None = None
    root: Path | None = None


def build(
    model_dir: Path,
    code_dir: Path,
    out: Path,
    progress: Progress | None = None,
    beside: Beside = Beside(),  # noqa: B008 - frozen
) -> Archive:
    """Package a model and its code as `out`, which appears whole or not at all; an older one stays till then.

    `progress` is called with the bytes of files packaged so far. Raises PackageError, naming the file, for
    anything that cannot or must not go in, and for a disk that is full.
    """
    members = _inspected(model_dir, code_dir, beside)
    _refuse_inside(out, (model_dir, code_dir))
    try:
        with _replacing(out) as file, TarballWriter(file, progress) as tarball:
            digest = _write(tarball, members)
        return Archive(out, digest, out.stat().st_size, len(members) + 1)
    except OSError as error:
        raise _output_error(out, members, error) from error


def _inspected(model_dir: Path, code_dir: Path, beside: Beside) -> list[Member]:
    check(code_dir, model_dir)
    with _readable(code_dir):
        found = collect(model_dir, code_dir)
        found += variants.members(beside.variant, model_dir, code_dir)
        found += _at_root(beside.root, found)
        return sorted(found, key=lambda member: member.name.encode())


def _at_root(root: Path | None, others: list[Member]) -> list[Member]:
    taken = {member.name.split("/")[0]: member for member in others}
    found = contents(root, "", "leave it out") if root else []
    for member in found:
        if other := taken.get(member.name.split("/")[0]):
            raise PackageError(other.place, f"takes the place of {member.name} in the archive", "rename it")
    return found


@contextmanager
def _readable(code_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = shown(os.fsencode(error.filename or code_dir))
        raise PackageError(place, error.strerror or str(error), "make it readable") from error


def _write(tarball: TarballWriter, members: list[Member]) -> str:
    names: dict[str, Member | None] = dict.fromkeys(folders(members))
    names |= {member.name: member for member in members}
    for name in sorted(names, key=str.encode):
        member = names[name]
        if member is None:
            tarball.add_folder(name)
        else:
            tarball.add_file(member)
    return tarball.add_manifest()


@contextmanager
def _replacing(out: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of `out` when all went well, and else leaves nothing."""
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.{secrets.token_hex(4)}.part")
    try:
        with part.open("xb", buffering=1024 * 1024) as file:
            yield file
        part.replace(out)
    finally:
        part.unlink(missing_ok=True)


def _refuse_inside(out: Path, sources: tuple[Path, ...]) -> None:
    for source in sources:
        if out.resolve().is_relative_to(source.resolve()):
            raise PackageError(str(out), f"lies inside {source}", "write the archive beside what it packages")


def _output_error(out: Path, members: list[Member], error: OSError) -> PackageError:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return PackageError(str(out), error.strerror or str(error), "write the archive to another place")
    needed = sum(member.size for member in members)
    free = shutil.disk_usage(out.parent).free
    value = f"the disk is full: the archive may need {needed:,} bytes, and {free:,} are free"
    return PackageError(str(out.parent), value, "make room, or package elsewhere")
