"""What an endpoint is, does and prints."""

import time
from argparse import Namespace
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from deploy import plan as plans
from deploy import terminal
from deploy.target import Event
from deploy.verbs import costing
from deploy.verbs.run import Run

FOLLOW_EVERY_S = 1.0


def status(run: Run, options: Namespace) -> None:
    """Say what the endpoint is and does, and which versions a rollback could put back."""
    facts = run.target.status(run.config)
    if not facts:
        terminal.line(f"{run.config.name} is not deployed")
        return
    for name, fact in facts.items():
        terminal.line(f"{name:10} {fact}")
    costing.show_so_far(run)
    observed = run.target.observed(run.config)
    for version in plans.versions(observed):
        if version.key not in plans.in_service(observed):
            terminal.line(f"{'kept':10} {version.name} (made {version.seen.created})")


def logs(run: Run, options: Namespace) -> None:
    """Print what the containers printed, and go on doing so if asked."""
    since = datetime.now(UTC) - options.since
    seen: set[tuple[str, str]] = set()
    while True:
        events = run.target.logs(run.config, since)
        _print_new(events, seen)
        if not options.follow:
            break
        # A line may arrive later than one that is younger: look back a little, and know what was shown.
        since = max([since, *(event.time - timedelta(seconds=10) for event in events)])
        time.sleep(FOLLOW_EVERY_S)
    if not seen:
        terminal.aside("nothing was printed since then; --since 1d looks back further")


def _print_new(events: Sequence[Event], seen: set[tuple[str, str]]) -> None:
    for event in events:
        if (event.stream, event.id) not in seen:
            seen.add((event.stream, event.id))
            terminal.line(f"{event.time:%Y-%m-%d %H:%M:%S}  {event.stream}  {event.text}")
