"""Where gcp_storage_emulator puts bytes: one file for each object, named by no one's choice.

Its own stores keep objects in memory, or make paths of their names, in which `a` and `a/b` cannot
both be and `a//b` is `a/b`.
"""

from __future__ import annotations

import contextlib
from hashlib import sha256
from pathlib import Path

# It writes all it knows into this file after each change, for a next start that there is not.
_RECORDS = ".meta"


class ObjectFiles:
    """The methods that its `Storage` calls on its store, by the paths that it makes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._paths: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def write_bytes(self, path: str, content: bytes) -> None:
        """Keeps the content in the place of what was there."""
        if path != _RECORDS:
            self.file_of(path).write_bytes(content)
            self._paths.add(path)

    def read_bytes(self, path: str) -> bytes:
        """Raises FileNotFoundError."""
        return self.file_of(path).read_bytes()

    def exists_file(self, path: str) -> bool:
        """Whether there is something at that path."""
        return path in self._paths

    def remove_file(self, path: str) -> None:
        """Raises FileNotFoundError."""
        self.file_of(path).unlink()
        self._paths.discard(path)

    def remove_tree(self, path: str) -> None:
        """Removes everything below a bucket's path."""
        for one in [one for one in self._paths if one.startswith(f"{path}/")]:
            with contextlib.suppress(FileNotFoundError):
                self.remove_file(one)

    def makedirs(self, path: str) -> None:
        """There are no folders."""

    def file_of(self, path: str) -> Path:
        """The file that holds what is at that path."""
        return self._folder / sha256(path.encode("utf-8", "surrogatepass")).hexdigest()
