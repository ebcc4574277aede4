"""What a deploy plans and how it is made: by what deploy.toml has in [release] and [endpoint]."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from deploy import asking, rollout, terminal
from deploy import plan as plans
from deploy.package.preflight import check_samples
from deploy.plan import Change, Resource
from deploy.releasing import replay, staging
from deploy.rollout import Place
from deploy.verbs.run import Run


def check(run: Run) -> None:
    """Raise what is wrong with the golden samples, where [release] wants some: nothing was asked yet."""
    if run.config.release:
        replay.golden(run.project)
        check_samples(run.code / replay.GOLDEN)


def planned(run: Run, desired: Sequence[Resource], observed: Sequence[Resource]) -> list[Change]:
    """The changes of a deploy; with [release], a candidate is made and asked before the endpoint moves."""
    if run.cloud == "aws" and (why := run.config.endpoint.unguarded):
        terminal.aside(f"SageMaker moves all traffic at once and asks no alarm where {why}")
    changes = plans.plan(desired, observed, run.config.keep_versions)
    if run.config.release is None:
        return changes
    return staging.with_candidate(changes, observed, partial(run.target.candidate, run.config))


def make(run: Run, changes: Sequence[Change]) -> None:
    """Make the changes of a deploy, watched by the samples."""
    rollout.make(_place(run, changes), changes)


def _place(run: Run, changes: Sequence[Change]) -> Place:
    place = replace(run.place, watch=partial(asking.watch, run.place, run.project))
    if run.config.release is None:
        return place
    asked = replay.Replay(run.place, replay.golden(run.project), staging.compares(changes))
    return replace(place, made=asked.made)
