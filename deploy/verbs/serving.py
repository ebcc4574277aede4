"""An endpoint's life: deployed, shown beforehand, put back, taken away."""

from argparse import Namespace

from deploy import asking, package, rollout, terminal
from deploy import plan as plans
from deploy.verbs import preparing, stages
from deploy.verbs.run import Run, VerbError


def deploy_endpoint(run: Run, options: Namespace) -> None:
    """Train if there is no model, package, plan, apply, wait, and prove it with the samples."""
    package.check(run.code, run.model)
    run.target.check(run.config)
    if not stages.took_a_model(run):
        preparing.train(run, options)
    desired = run.target.desired(run.config, stages.packaged(run))
    changes = plans.plan(desired, stages.observed(run), run.config.keep_versions)
    terminal.show_plan(changes)
    if run.live and any(change.action == "create" for change in changes):
        run.ask("Make these changes? An endpoint is billed from its creation until `destroy`.")
    rollout.make(run.place, changes)
    asking.prove(run.place, run.project)


def plan(run: Run, options: Namespace) -> None:
    """Show what a deploy would change, and change nothing in the cloud."""
    run.target.check(run.config)
    stages.took_a_model(run)
    desired = run.target.desired(run.config, stages.packaged(run))
    terminal.show_plan(plans.plan(desired, stages.observed(run), run.config.keep_versions))


def rollback(run: Run, options: Namespace) -> None:
    """Put an older version back in service: the newest before the present one, or the one named."""
    observed = stages.observed(run)
    version = plans.older(observed, options.to)
    desired = [*plans.whole(version.key, observed), *run.target.in_service(run.config, version.name)]
    changes = plans.plan(desired, observed, run.config.keep_versions)
    terminal.show_plan(changes)
    # Without a name it would go back one version more.
    rollout.make(run.place, changes, again=f"`rollback` to {version.name} (TO= or --to)")
    asking.prove(run.place, run.project)


def destroy(run: Run, options: Namespace) -> None:
    """Remove all of this deployment, after a question, and list again to prove it."""
    changes = plans.plan([], stages.everything(run))
    terminal.show_plan(changes)
    if changes:
        run.ask(f"Delete all of this? Nothing brings {run.config.name!r} back but another deploy.")
    rollout.make(run.place, changes)
    _prove_gone(run)


def _prove_gone(run: Run) -> None:
    left = stages.everything(run)
    ours = [f"{resource.kind} {resource.name}" for resource in left if resource.seen.ours]
    if ours:
        raise VerbError(f"still there: {', '.join(ours)}; give the same command again")
    terminal.line(f"nothing of {run.config.name} is left")
    for resource in left:
        terminal.line(f"not this deployment's, left alone: {resource.kind} {resource.name}")
