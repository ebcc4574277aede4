"""What must change so that the cloud holds what we want.

A resource's name carries the digest of its parameters, so it is never edited: it is there or it is not.
The endpoint is the one exception: it keeps its name and points at a version. So the plan is the
difference of two lists, and preview, "nothing to change", recovery, clean-up, rollback and destroy are that.
Nothing here reads or writes anything.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Key = tuple[str, str]
Action = Literal["create", "update", "delete"]


class PlanError(Exception):
    """What is wanted cannot be reached from what is there; the message says what stands in the way."""


@dataclass(frozen=True)
class Seen:
    """What only the cloud knows of a resource: times are ISO 8601 in UTC, so they sort as text."""

    created: str = ""
    served: str = ""  # when another version last took its place
    ours: bool = True  # it carries this deployment's tag
    broken: bool = False  # it accepts nothing but its deletion, which loses nothing
    stuck: str = ""  # why it takes no version, though it may still serve: a person has to decide


@dataclass(frozen=True)
class Resource:
    """One thing in the cloud. Two are the same if kind, name and version are."""

    kind: str
    name: str
    version: str = ""  # what an endpoint points at; empty for whatever carries its digest in its name
    params: dict[str, Any] = field(default_factory=dict, compare=False)  # the request that makes it
    needs: tuple[Key, ...] = field(default=(), compare=False)  # what it cannot do without
    seen: Seen = field(default=Seen(), compare=False)
    # Others may use it, too: it is made where it is missing, and never taken away.
    shared: bool = field(default=False, compare=False)

    @property
    def key(self) -> Key:
        return self.kind, self.name


@dataclass(frozen=True)
class Change:
    action: Action
    resource: Resource


def versioned(name: str, params: object) -> str:
    """The name of what `params` describe: change one of them and it is another resource."""
    canonical = json.dumps(params, sort_keys=True, separators=(",", ":"))
    return f"{name}-{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"


def is_version_of(name: str, resource_name: str) -> bool:
    """Whether `versioned(name, ...)` could have made this name: `iris` never owns `iris-big-…`."""
    return re.fullmatch(re.escape(name) + "-[0-9a-f]{12}", resource_name) is not None


def plan(desired: Sequence[Resource], observed: Sequence[Resource], keep: int = 0) -> list[Change]:
    """The changes from `observed` to `desired`, in the order in which they are to be made.

    Both lists run from what is depended on to what depends on it. Besides what is desired, the `keep`
    versions that served last stay, with all they need. Everything else of ours goes, after the endpoint has
    moved. Raises PlanError where a desired name is taken by something that is not ours, or is stuck.
    """
    there = {resource.key: resource for resource in observed}
    towards = [change for wanted in desired for change in _towards(wanted, there.get(wanted.key))]
    stays = {resource.key for resource in desired} | kept(desired, observed, keep)
    gone = [r for r in reversed(observed) if r.seen.ours and not r.shared and r.key not in stays]
    return towards + [Change("delete", resource) for resource in gone]


def _towards(wanted: Resource, there: Resource | None) -> list[Change]:
    if there is None:
        return [Change("create", wanted)]
    if not there.seen.ours:
        raise PlanError(
            f"{wanted.kind} {wanted.name!r} is there already and is not this deployment's: it is left alone. "
            "Give deploy.toml another `name`, or delete it yourself"
        )
    if there.seen.stuck:
        raise PlanError(there.seen.stuck)
    if there.seen.broken:
        return [Change("delete", there), Change("create", wanted)]
    return [] if wanted == there else [Change("update", wanted)]


def kept(desired: Iterable[Resource], observed: Sequence[Resource], keep: int) -> set[Key]:
    """The `keep` versions that served last besides the desired one, and what each of them needs."""
    wanted = {resource.key for resource in desired}
    others = [r for r in versions(observed) if r.key not in wanted]
    now = in_service(observed)
    newest = sorted(others, key=lambda r: (r.key in now, r.seen.served), reverse=True)[:keep]
    return {resource.key for served in newest for resource in whole(served.key, observed)}


def versions(observed: Sequence[Resource]) -> list[Resource]:
    """What serves, or served and could serve again: all that it needs is still there."""
    now = in_service(observed)
    return [r for r in observed if (r.seen.served or r.key in now) and whole(r.key, observed)]


def in_service(observed: Iterable[Resource]) -> set[Key]:
    """What endpoints point at. One that is broken never served it."""
    endpoints = (r for r in observed if r.kind == "endpoint" and r.seen.ours and not r.seen.broken)
    return {key for endpoint in endpoints for key in endpoint.needs}


def whole(key: Key, observed: Sequence[Resource]) -> list[Resource]:
    """The resource and all it needs, in their order; nothing if any of it is missing or not ours."""
    there = {resource.key: resource for resource in observed if resource.seen.ours}
    found: set[Key] = set()
    ahead = [key]
    while ahead:
        if (key := ahead.pop()) not in there:
            return []
        found.add(key)
        ahead += [need for need in there[key].needs if need not in found]
    return [resource for resource in observed if resource.key in found]


def older(observed: Sequence[Resource], to: str = "") -> Resource:
    """The version to roll back to: that named `to` (or its 12 digits), else the newest before what is served.

    One that is served already may be named, so that a rollback that was stopped can be asked for again.
    Raises PlanError if there is none; the message lists the versions that are kept.
    """
    serving = in_service(observed)
    others = sorted((r for r in versions(observed) if r.key not in serving), key=lambda r: r.seen.created)
    named = [r for r in versions(observed) if r.name == to or r.name.endswith(f"-{to}")]
    now = [r.seen.created for r in observed if r.key in serving]
    before = [r for r in others if not now or r.seen.created < min(now)]
    choice = named if to else before[-1:]
    if not choice:
        wanted = f"no version {to!r} is kept" if to else "there is no older version to roll back to"
        raise PlanError(f"{wanted}; kept besides the one in service: {_names(others)}")
    return choice[0]


def _names(resources: Sequence[Resource]) -> str:
    return ", ".join(resource.name for resource in resources) or "none"


def undone(changes: Iterable[Change]) -> list[Change]:
    """The changes that take back what `changes` made and have not deleted again, the last first."""
    made: dict[Key, Resource] = {}
    for change in changes:
        made.pop(change.resource.key, None)
        if change.action == "create" and not change.resource.shared:
            made[change.resource.key] = change.resource
    return [Change("delete", resource) for resource in reversed(made.values())]
