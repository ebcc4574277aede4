"""Before anything is served: training, and a lighter model."""

from argparse import Namespace

from deploy import config as configuration
from deploy import image, optimizing, rollout, terminal
from deploy import plan as plans
from deploy.training import jobs
from deploy.verbs import costing
from deploy.verbs.run import Run


def train(run: Run, options: Namespace) -> None:
    """Train as a job and put its model in build/model."""
    wanted = jobs.wanted(run.training)
    run.target.check(run.config)
    run.quotas.check(run.config, run.billing.training(run.config))
    _have_the_image(run)
    question = f"Start a training job on {wanted.machine}? It is billed until it ends."
    job = jobs.run(run.training, wanted, lambda: _ask(run, question) if run.live else None)
    jobs.bring(run.training, job)


def _ask(run: Run, question: str) -> None:
    terminal.line(f"costs      {costing.training(run)}")
    run.ask(question)


def _have_the_image(run: Run) -> None:
    """Build the kit's image where a job trains in it and it is not there."""
    kits = image.desired(run.config, run.project, run.cloud)
    if kits and run.trainings.image(run.config) == run.trainings.serving_image(run.config):
        changes = [c for c in plans.plan(kits, run.target.observed(run.config)) if c.action == "create"]
        terminal.show_plan(changes)
        rollout.make(run.place, changes)


def optimize(run: Run, options: Namespace) -> None:
    """Try what makes the model lighter, and keep what is worth it for the next package."""
    environment = configuration.container_environment(run.config)
    place = optimizing.Place(run.model, run.code, run.variant, environment)
    optimizing.optimize(place, optimizing.Order(options.choose, options.cosine, options.input))
