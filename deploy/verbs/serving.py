"""An endpoint's life: deployed, shown beforehand, put back, taken away."""

from argparse import Namespace

from deploy import asking, package, rollout, terminal
from deploy import plan as plans
from deploy.target import CloudError
from deploy.verbs import checking, costing, preparing, releasing, stages
from deploy.verbs.run import Run, VerbError


def deploy_endpoint(run: Run, options: Namespace) -> None:
    """Train if there is no model, package, plan, apply, wait, and prove it with the samples."""
    run = costing.ending(run, options)
    package.check(run.code, run.model)
    releasing.check(run)
    _check(run)
    with run.locked(options.verb):
        _deploy(run, options)


def _check(run: Run) -> None:
    """Fail now where the cloud would take no such endpoint: nothing has been made."""
    run.target.check(run.config)
    if machines := run.billing.serving(run.config):
        run.quotas.check(run.config, machines)


def _deploy(run: Run, options: Namespace) -> None:
    if not stages.took_a_model(run):
        preparing.train(run, options)
    if run.live:
        checking.check(run, options)
    desired = stages.desired(run)
    changes = releasing.planned(run, desired, stages.observed(run))
    terminal.show_plan(changes)
    if changes:
        costing.show_endpoint(run, in_full=run.live)
    if run.live and any(change.action == "create" for change in changes):
        run.ask("Make these changes? An endpoint is billed from its creation until `destroy`.")
    releasing.make(run, changes)
    asking.prove(run.place, run.project)


def plan(run: Run, options: Namespace) -> None:
    """Show what a deploy would change and what it costs, and change nothing in the cloud."""
    run = costing.ending(run, options)
    _check(run)
    stages.took_a_model(run)
    desired = stages.desired(run)
    terminal.show_plan(releasing.planned(run, desired, stages.observed(run)))
    costing.show_endpoint(run)


def rollback(run: Run, options: Namespace) -> None:
    """Put an older version back in service: the newest before the present one, or the one named."""
    with run.locked(options.verb):
        _put_back(run, options.to)


def _put_back(run: Run, to: str) -> None:
    observed = stages.observed(run)
    version = plans.older(observed, to)
    run, observed = costing.keeping_its_end(run, observed)
    # At once: an alarm may be why, and it would put back what is put back.
    there = run.target.in_service(run.config, version.name, guarded=False)
    desired = [*plans.whole(version.key, observed), *there]
    changes = plans.plan(desired, observed, run.config.keep_versions)
    terminal.show_plan(changes)
    # Without a name it would go back one version more.
    rollout.make(run.place, changes, again=f"`rollback` to {version.name} (TO= or --to)")
    asking.prove(run.place, run.project)


def destroy(run: Run, options: Namespace) -> None:
    """Remove all of this deployment, after a question, and list again to prove it."""
    with run.locked(options.verb):
        _take_away(run)
    costing.prove_free(run)


def _take_away(run: Run) -> None:
    changes = plans.plan([], stages.everything(run))
    terminal.show_plan(changes)
    if changes:
        run.ask(f"Delete all of this? Nothing brings {run.config.name!r} back but another deploy.")
    rollout.make(run.place, changes)
    _prove_gone(run)


def _prove_gone(run: Run) -> None:
    left = stages.everything(run)
    ours = [f"{one.kind} {one.name}" for one in left if one.seen.ours and not one.shared]
    if ours:
        raise VerbError(f"still there: {', '.join(ours)}; give the same command again")
    terminal.line(f"nothing of {run.config.name} is left")
    _tell_of_no_bucket(run)
    for resource in left:
        why = "others may use it" if resource.shared else "not this deployment's"
        terminal.line(f"{why}, left alone: {resource.kind} {resource.name}")


def _tell_of_no_bucket(run: Run) -> None:
    """Where there is no bucket, nothing of ours is in it; or deploy.toml names another than it did before."""
    bucket = getattr(run.config, run.cloud).bucket
    place = f"deploy.toml: [{run.cloud}]: bucket {bucket!r}"
    try:
        run.batches.storage.reachable(run.config, bucket, place)
    except CloudError as error:
        terminal.aside(f"{error}. What may lie in another bucket was not looked for")
