"""A plan in which the new version answers beside the one in service, before the endpoint moves. Pure."""

from collections.abc import Callable, Sequence

from deploy.plan import Change, PlanError, Resource
from deploy.releasing.naming import CANDIDATE


def with_candidate(
    changes: Sequence[Change], observed: Sequence[Resource], candidate: Callable[[str], Resource]
) -> list[Change]:
    """The plan with a candidate made and taken away again before the endpoint's first change.

    `candidate` makes one for a version. Where the endpoint moves to none, the plan stays as it is. One that a
    stopped release left behind goes first. Raises PlanError where its name is somebody else's.
    """
    moves = [n for n, change in enumerate(changes) if change.resource.kind == "endpoint"]
    versions = [changes[n].resource.version for n in moves if changes[n].action != "delete"]
    if not versions:
        return list(changes)
    beside = candidate(versions[0])
    _refuse_a_stranger(beside, observed)
    left = [change for change in changes if change.resource.kind == CANDIDATE]
    before, after = (
        [c for c in part if c not in left] for part in (changes[: moves[0]], changes[moves[0] :])
    )
    return [*left, *before, Change("create", beside), Change("delete", beside), *after]


def _refuse_a_stranger(beside: Resource, observed: Sequence[Resource]) -> None:
    if any(one.key == beside.key and not one.seen.ours for one in observed):
        raise PlanError(
            f"endpoint {beside.name!r} is there already and is another deployment's, and [release] asks "
            "the new version under that name: give deploy.toml another `name`, or leave [release] out"
        )


def compares(changes: Sequence[Change]) -> bool:
    """Whether there is an endpoint in service whose answers a candidate's can be held against."""
    return any(change.resource.kind == "endpoint" and change.action == "update" for change in changes)
