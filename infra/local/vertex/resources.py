"""A collection's resources in memory: added, read, changed and removed each at once, under one lock."""

from __future__ import annotations

import base64
import copy
import threading
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.vertex.errors import GoogleError, invalid, not_found
from infra.local.vertex.operations import now

Json = dict[str, Any]


class Table:
    """Resources by name. What goes in and comes out is a copy: nobody changes a resource but `change`."""

    def __init__(self) -> None:
        self._all: dict[str, Json] = {}
        self._lock = threading.RLock()

    def add(self, name: str, resource: Json) -> Json:
        """Adds it with its name, times and etag. Raises GoogleError ALREADY_EXISTS."""
        with self._lock:
            if name in self._all:
                raise GoogleError("ALREADY_EXISTS", f'Resource "{name}" already exists.')
            at = now()
            times = {"createTime": at, "updateTime": at, "etag": etag_of(at)}
            self._all[name] = copy.deepcopy({**resource, "name": name, **times})
            return copy.deepcopy(self._all[name])

    def get(self, name: str) -> Json:
        """Raises GoogleError NOT_FOUND."""
        with self._lock:
            if name not in self._all:
                raise not_found(name)
            return copy.deepcopy(self._all[name])

    def has(self, name: str) -> bool:
        """Whether there is one of that name."""
        return name in self._all

    def peek(self, name: str) -> Mapping[str, Any]:
        """As `get`, without a copy: for those who only look, and quickly."""
        found = self._all.get(name)
        if found is None:
            raise not_found(name)
        return found

    def all_of(self, place: str, collection: str) -> list[Json]:
        """Those of a place, the newest first."""
        with self._lock:
            found = [one for name, one in self._all.items() if name.startswith(f"{place}/{collection}/")]
            return copy.deepcopy(found[::-1])

    def everything(self) -> list[Json]:
        """All of them, oldest first."""
        with self._lock:
            return copy.deepcopy(list(self._all.values()))

    def change(self, name: str, edit: Callable[[Json], Json]) -> Json:
        """Puts what `edit` makes of the resource in its place, with a new time and etag.

        Nothing else changes the table meanwhile; `edit` may refuse with GoogleError. Raises NOT_FOUND.
        """
        with self._lock:
            at = now()
            edited = edit(self.get(name))
            self._all[name] = {**edited, "name": name, "updateTime": at, "etag": etag_of(at)}
            return copy.deepcopy(self._all[name])

    def remove(self, name: str, check: Callable[[Json], None] = lambda resource: None) -> Json:
        """Takes it out unless `check` refuses. Raises GoogleError NOT_FOUND."""
        with self._lock:
            check(self.get(name))
            return self._all.pop(name)


def etag_of(text: str) -> str:
    """An etag as the service makes them: opaque, in base64."""
    return base64.b64encode(text.encode()).decode()


def patched(resource: Json, given: Json, mask: str, allowed: Mapping[str, str]) -> Json:
    """The resource with the mask's fields from `given`; a field that is not given is cleared.

    `allowed` has for each field of the mask, in snake_case, its name in JSON. Raises GoogleError.
    """
    fields = [field.strip() for field in mask.split(",") if field.strip()]
    if not fields:
        raise invalid("update_mask is required.", "update_mask")
    names = [_field(field, allowed) for field in fields]
    kept = {key: value for key, value in resource.items() if key not in names}
    return {**kept, **{name: given[name] for name in names if name in given}}


def _field(field: str, allowed: Mapping[str, str]) -> str:
    for snake, camel in allowed.items():
        if field in (snake, camel):
            return camel
    raise invalid(
        f"Update of field {field!r} is not supported; allowed: {', '.join(allowed)}.", "update_mask"
    )
