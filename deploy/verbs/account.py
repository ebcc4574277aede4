"""What must exist in the account before anything is deployed to it."""

from argparse import Namespace
from typing import TYPE_CHECKING, cast

from deploy import terminal
from deploy.infrastructure import Draft, Infrastructure, Wish
from deploy.rollout import Stopped
from deploy.verbs.run import KIT, Run, part

if TYPE_CHECKING:
    from deploy.aws import stacks
    from deploy.gcp import terraform

    # The type checker sees to it that the modules are what they are used as.
    _: Infrastructure = stacks
    _gcp: Infrastructure = terraform

# The part of a cloud that makes it.
PARTS = {"aws": "stacks", "gcp": "terraform"}


def infra(run: Run, options: Namespace) -> None:
    """Make the bucket, the roles and the rest, or bring them to what infra/ says."""
    infrastructure, wish = _infrastructure(run), Wish(KIT / "infra" / run.cloud, dict(options.set))
    infrastructure.check(run.config, wish)
    with terminal.working("look at the account") as say:
        infrastructure.settle(run.config, say)
        draft = infrastructure.draft(run.config, wish, say)
    terminal.show_plan(draft.changes)
    if draft.changes:
        _agreed(run, infrastructure, draft)
        _made(run, infrastructure, draft)
    for line in infrastructure.told(run.config, wish):
        terminal.line(line)


def _infrastructure(run: Run) -> Infrastructure:
    return cast(Infrastructure, part(run.cloud, PARTS[run.cloud]))


def _agreed(run: Run, infrastructure: Infrastructure, draft: Draft) -> None:
    """Go on if the person agrees; else leave nothing behind."""
    try:
        if run.live:
            run.ask(f"Make these changes to {draft.name}?")
    except BaseException:
        infrastructure.discard(run.config, draft)
        raise


def _made(run: Run, infrastructure: Infrastructure, draft: Draft) -> None:
    try:
        with terminal.working(f"change {draft.name}") as say:
            infrastructure.carry_out(run.config, draft, say)
    except KeyboardInterrupt:
        raise Stopped(f"stopped: {infrastructure.when_stopped(draft)}") from None
