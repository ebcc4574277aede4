"""inference/requirements.txt, line by line, as pip reads it; what a line means is packaging's to say.

Source: pip.pypa.io/en/stable/reference/requirements-file-format
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

_OPTION = re.compile(r"(--?[a-z][a-z-]*)(?:[ =]+(.*))?")
_INCLUDES = {"-r": "-r", "--requirement": "-r", "-c": "-c", "--constraint": "-c"}
_COMMENT = re.compile(r"(^|\s+)#.*$")
_PER_LINE = re.compile(r"\s--(hash|config-settings|global-option)[ =].*$")  # what may stand behind a name
_VERSION = re.compile(r"={2,3}\s*([^\s,;*]+)")


@dataclass(frozen=True)
class Line:
    """One requirement or option, continued lines joined. `place` has its file and line.

    `option` is such as --index-url, with its `value`; else `requirement` is what packaging reads in `text`,
    None where that is no requirement by name: a path, a URL, or a mistake.
    """

    place: str
    text: str
    option: str = ""
    value: str = ""
    requirement: Requirement | None = None
    file: Path | None = None  # what -r or -c includes

    @property
    def name(self) -> str:
        """The package, in pip's own form; "" where no line says it."""
        return str(canonicalize_name(self.requirement.name)) if self.requirement else ""

    @property
    def version(self) -> str:
        """The one version that it takes; "" where it takes several."""
        found = _VERSION.fullmatch(str(self.requirement.specifier)) if self.requirement else None
        return found[1] if found else ""


def read(path: Path, project: Path) -> list[Line]:
    """The lines of a file and of those that it includes by -r; [] where there is no file."""
    return list(_of(path, project, frozenset())) if path.is_file() else []


def included(lines: list[Line]) -> tuple[Path, ...]:
    """The files that the lines include."""
    return tuple(line.file for line in lines if line.file)


def pins(path: Path) -> dict[str, str]:
    """The versions that a file of constraints pins, by the packages' names."""
    lines = read(path, path.parent)
    return {line.name: line.version for line in lines if line.name and line.version}


def _of(path: Path, project: Path, seen: frozenset[Path]) -> Iterator[Line]:
    for number, text in _joined(path.read_text(encoding="utf-8-sig", errors="replace")):
        line = _line(f"{_relative(path, project)}:{number}", text, path.parent)
        yield line
        if line.option == "-r" and line.file and line.file.is_file() and line.file not in seen:
            yield from _of(line.file, project, seen | {path.resolve(), line.file})


def _relative(path: Path, project: Path) -> str:
    resolved, root = path.resolve(), project.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)


def _joined(text: str) -> Iterator[tuple[int, str]]:
    """Lines with what their last `\\` continues, without comments; the number is the first one's."""
    parts: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        parts.append(_COMMENT.sub("", line.rstrip("\\") if line.endswith("\\") else line))
        if not line.endswith("\\"):
            if whole := " ".join(part.strip() for part in parts).strip():
                yield number - len(parts) + 1, whole
            parts = []


def _line(place: str, text: str, folder: Path) -> Line:
    if option := _OPTION.fullmatch(text):
        name, value = _INCLUDES.get(option[1], option[1]), (option[2] or "").strip()
        file = (folder / value).resolve() if name in ("-r", "-c") and value else None
        return Line(place, text, name, value, file=file)
    try:
        return Line(place, text, requirement=Requirement(_PER_LINE.sub("", text)))
    except InvalidRequirement:
        return Line(place, text)
