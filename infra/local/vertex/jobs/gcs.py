"""gs:// addresses in what a job is given, and /gcs/…, where a custom job sees its buckets as folders.

Source: cloud.google.com/vertex-ai/docs/training/cloud-storage-file-system
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.storage import Storage

_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<name>.*))?", re.DOTALL)
_MOUNTED = re.compile(r"(?<![\w./-])/gcs/(?P<bucket>[a-z0-9][a-z0-9._-]+)(?P<path>(?:/[\w.+=@:,%~-]+)*)/?")
_WILD = re.compile(r"\*\*|\*|\?")
_PATTERNS = {"**": ".*", "*": "[^/]*", "?": "[^/]"}


def split(uri: str, field: str) -> tuple[str, str]:
    """Bucket and name. Raises GoogleError INVALID_ARGUMENT, naming the field."""
    found = _URI.fullmatch(uri)
    if not found:
        raise invalid(f"{uri!r} is no Cloud Storage URI; expected gs://BUCKET/NAME.", field)
    return found["bucket"], found["name"] or ""


def matching(storage: Storage, uri: str) -> list[str]:
    """The objects that a URI means, which may have wildcards: `*` within a folder, `**` across folders.

    Raises GoogleError NOT_FOUND where there is none.
    """
    bucket, pattern = split(uri, "input_config.gcs_source.uris")
    literal = _WILD.split(pattern)[0]
    wanted = re.compile(_as_expression(pattern), re.DOTALL)
    names = [name for name in storage.list(bucket, literal) if wanted.fullmatch(name)]
    if not names:
        raise GoogleError("NOT_FOUND", f'No objects match "{uri}".')
    return [f"gs://{bucket}/{name}" for name in names]


def _as_expression(pattern: str) -> str:
    found, at = "", 0
    for wild in _WILD.finditer(pattern):
        found += re.escape(pattern[at : wild.start()]) + _PATTERNS[wild[0]]
        at = wild.end()
    return found + re.escape(pattern[at:])


class Mounts:
    """What of the buckets a job's words name below /gcs, copied into a folder: read-only, as of now.

    A process has no /gcs without root, so the words get the folder's path instead.
    """

    def __init__(self, storage: Storage, folder: Path) -> None:
        self._storage, self._folder = storage, folder

    def rewritten(self, text: str) -> str:
        """The text with every /gcs/… in it replaced, and what lies there copied: the file with all that is
        beside it, or the folder. Raises GoogleError NOT_FOUND for a bucket that is not there."""
        for found in _MOUNTED.finditer(text):
            self._copy(found["bucket"], found["path"].strip("/"))
        return _MOUNTED.sub(lambda found: f"{self._folder}/{found['bucket']}{found['path']}", text)

    def _copy(self, bucket: str, path: str) -> None:
        beside = str(PurePosixPath(path).parent) if path else "."
        prefix = "" if beside == "." else f"{beside}/"
        for name in self._storage.list(bucket, prefix):
            parts = name.split("/")
            if not name.endswith("/") and set(parts).isdisjoint({"", ".", ".."}):
                self._copy_object(bucket, name)

    def _copy_object(self, bucket: str, name: str) -> None:
        target = self._folder / bucket / name
        if target.exists():
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._storage.open(bucket, name) as content:
            target.write_bytes(content.read())
        target.chmod(0o444)  # what would be written here would reach no bucket
