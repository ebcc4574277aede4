"""A build's context, as it came from a bucket: unpacked in memory and held against its Dockerfile."""

from __future__ import annotations

import fnmatch
import io
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from packaging.requirements import InvalidRequirement, Requirement

MAX_BYTES, MAX_FILES = 64 * 2**20, 10_000
REQUIREMENTS = "inference/requirements.txt"
_LINE_END = re.compile(r"\\[ \t]*\n(?:[ \t]*#[^\n]*\n)*")


class BuildFailed(Exception):
    """The build ends here; the message is what its tool would say."""


@dataclass(frozen=True)
class Command:
    """A `docker build`'s options, as far as a build here heeds them."""

    dockerfile: str = "Dockerfile"
    platform: str = "linux/amd64"
    arguments: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()


def command(words: Sequence[str]) -> Command:
    """What docker makes of these words: options, their values, the folder. BuildFailed for another option."""
    found: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        if word == ".":
            continue
        name, equals, value = word.partition("=")
        name = {"-f": "--file", "-t": "--tag"}.get(name, name)
        if name not in ("--file", "--tag", "--platform", "--build-arg", "--label"):
            raise BuildFailed(f"unknown flag: {word}")
        found.setdefault(name, []).append(value if equals else next(rest, ""))
    given = dict(one.split("=", 1) for one in found.get("--build-arg", []) if "=" in one)
    return Command(
        found.get("--file", ["Dockerfile"])[-1],
        found.get("--platform", ["linux/amd64"])[-1],
        given,
        tuple(found.get("--tag", [])),
    )


def unzipped(archive: BinaryIO) -> dict[str, bytes]:
    """The context's files by path. BuildFailed for no zip archive, or one that leads out of its folder."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive.read(MAX_BYTES + 1))) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > MAX_FILES or sum(entry.file_size for entry in entries) > MAX_BYTES:
                raise BuildFailed(f"the source is larger than {MAX_FILES} files or {MAX_BYTES} bytes")
            for name in (entry.filename for entry in entries):
                if name.startswith("/") or ".." in name.split("/"):
                    raise BuildFailed(f"the source's {name!r} leads out of its folder")
            return {entry.filename: opened.read(entry) for entry in entries}
    except zipfile.BadZipFile as error:
        raise BuildFailed(f"the source is no zip archive: {error}") from error


def steps(files: Mapping[str, bytes], command: Command) -> Iterator[str]:
    """The lines that a build prints, one for each instruction. BuildFailed where it would end in an error."""
    if command.dockerfile not in files:
        raise BuildFailed(f"failed to read dockerfile: open {command.dockerfile}: no such file or directory")
    instructions = _instructions(files[command.dockerfile].decode())
    known = {rest.partition("=")[0].strip() for word, rest in instructions if word == "ARG"}
    if unknown := sorted(set(command.arguments) - known):
        # docker warns of it alone; that an argument of ours has no effect is an error.
        raise BuildFailed(f"one or more build-args were not consumed: {unknown}")
    for number, (word, rest) in enumerate(instructions, 1):
        yield f"#{number} [{number}/{len(instructions)}] {word} {rest[:200]}"
        if word in ("COPY", "ADD") and "--from=" not in rest:
            _check_copied(files, rest)
    yield from _check_requirements(files)


def _instructions(text: str) -> list[tuple[str, str]]:
    lines = (line.strip().partition(" ") for line in _LINE_END.sub(" ", text).splitlines())
    found = [(word.upper(), rest.strip()) for word, _, rest in lines if word and not word.startswith("#")]
    if not any(word == "FROM" for word, _ in found):
        raise BuildFailed("dockerfile parse error: no build stage in current context")
    return found


def _check_copied(files: Mapping[str, bytes], rest: str) -> None:
    *sources, _ = (word.strip('[]",') for word in rest.split() if not word.startswith("--"))
    for source in sources:
        below = source.strip("/").removeprefix("./")
        if not any(
            name == below or name.startswith(f"{below}/") or fnmatch.fnmatchcase(name, below)
            for name in files
        ):
            raise BuildFailed(f'failed to calculate checksum of ref: "/{below}": not found')


def _check_requirements(files: Mapping[str, bytes]) -> Iterator[str]:
    for number, line in enumerate(files.get(REQUIREMENTS, b"").decode("utf-8", "replace").splitlines(), 1):
        text = re.sub(r"(^|\s)#.*$", "", line).strip()
        if not text or text.startswith("-"):
            continue
        try:
            yield f"Collecting {Requirement(text).name}"
        except InvalidRequirement as error:
            raise BuildFailed(
                f"ERROR: Invalid requirement: {line!r} (from line {number}): {error}"
            ) from error
