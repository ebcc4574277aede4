"""What a Dockerfile takes from its context, and which build arguments it knows. Pure.

The Dockerfile alone says what goes into the image: whatever it copies, and nothing else, is in the context.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator

_CONTINUED = re.compile(r"\\[ \t]*\n(?:[ \t]*#[^\n]*\n)*")
_PATH = re.compile(r"([A-Za-z0-9_.-]+/)*[A-Za-z0-9_.*-]+/?")
_ARGUMENT = re.compile(r"([A-Z][A-Z0-9_]*)(=.*)?", re.DOTALL)


def sources(text: str) -> list[str]:
    """The paths that COPY and ADD take from the context, sorted; their last parts may hold a `*`.

    What comes of another stage (`--from`) is not the context's. ValueError for a path that is not plain.
    """
    found: set[str] = set()
    for word, rest in _instructions(text):
        if word in ("COPY", "ADD"):
            found |= set(_copied(rest))
    for path in found:
        if not _PATH.fullmatch(path) or ".." in path.split("/"):
            raise ValueError(
                f"copies {path!r}, expected a path below the repository, with * in its last part alone"
            )
    return sorted(path.rstrip("/") for path in found)


def arguments(text: str) -> set[str]:
    """The names that ARG declares."""
    words = (rest for word, rest in _instructions(text) if word == "ARG")
    return {match[1] for rest in words if (match := _ARGUMENT.match(rest))}


def _instructions(text: str) -> Iterator[tuple[str, str]]:
    for line in _CONTINUED.sub(" ", text).splitlines():
        word, _, rest = line.strip().partition(" ")
        if word and not word.startswith("#"):
            yield word.upper(), rest.strip()


def _copied(rest: str) -> list[str]:
    words = rest.split()
    flags = [word for word in words if word.startswith("--")]
    if any(flag.startswith("--from=") for flag in flags):
        return []
    listed = rest[rest.index("[") :] if "[" in rest else ""
    paths = json.loads(listed) if listed else [w for w in shlex.split(rest) if not w.startswith("--")]
    return [str(path) for path in paths[:-1]]
