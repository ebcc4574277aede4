"""Changes made one after another; where one fails, why, and what was made for it taken back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from deploy import terminal, tracebacks
from deploy.config import Config
from deploy.plan import Change, undone
from deploy.releasing.naming import named
from deploy.target import CloudError, NotServed, Refused, Target, Watch, unwatched


class Stopped(KeyboardInterrupt):
    """The person stopped it; the message says how far it had come."""


def nothing(change: Change) -> None:
    """Looks at nothing."""


@dataclass(frozen=True)
class Place:
    """Where changes are made."""

    target: Target
    config: Config
    watch: Watch = unwatched  # what asks the endpoint while a version takes its traffic over
    made: Callable[[Change], None] = nothing  # what looks at a change that was made; its CloudError undoes it


def make(place: Place, changes: Sequence[Change], again: str = "the same command again") -> None:
    """Make the changes in their order.

    If one is refused or its version is not served, what was made for it is removed again, and whatever
    served before goes on serving. The error is raised on. Stopped half-way, `again` is what converges.
    """
    done: list[Change] = []
    try:
        for change in changes:
            _apply(place, change)
            done.append(change)
    except CloudError as error:
        _explain(place, changes[len(done)], error)
        _take_back(place, made_in_vain(done, changes[len(done)], error))
        raise
    except KeyboardInterrupt:
        raise Stopped(
            f"stopped at change {len(done) + 1} of {len(changes)} ({terminal.sentence(changes[len(done)])}): "
            f"what is made stays, what the cloud has begun goes on, and {again} converges"
        ) from None


def _apply(place: Place, change: Change) -> None:
    with terminal.working(terminal.sentence(change)) as say:
        place.target.apply(place.config, change, say, place.watch)
    place.made(change)


def made_in_vain(done: Sequence[Change], failed: Change, error: CloudError) -> list[Change]:
    """Those of the changes made, the failed one included, that can be taken back and harm nothing.

    A deletion that failed leaves a version that serves. An endpoint of which it is not known what it will
    serve may yet need all that was made.
    """
    certain = isinstance(error, Refused | NotServed)
    if failed.action == "delete" or (failed.resource.kind == "endpoint" and not certain):
        return []
    return list(done) if isinstance(error, Refused) else [*done, failed]


def _explain(place: Place, failed: Change, error: CloudError) -> None:
    """Show what the containers of the failed version printed."""
    if not isinstance(error, NotServed):
        return
    try:
        of = named(place.config, failed.resource.name)
        printed = tracebacks.cause(place.target.logs_of_new(of, error.since))
    except CloudError as unread:
        terminal.aside(f"the container's log could not be read: {unread}")
        return
    terminal.aside("the container printed:" if printed else "the container printed nothing")
    for text in printed:
        terminal.aside(f"  {text}")


def _take_back(place: Place, made: Sequence[Change]) -> None:
    try:
        for change in undone(made):
            _apply(place, change)
    except (CloudError, KeyboardInterrupt) as error:
        why = str(error) or "stopped"
        terminal.aside(f"not all of it could be taken back ({why}); the next deploy or destroy does it")
