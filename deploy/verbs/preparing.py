"""Before anything is served: training, and a lighter model."""

from argparse import Namespace

from deploy import config as configuration
from deploy import optimizing
from deploy.training import jobs
from deploy.verbs.run import Run


def train(run: Run, options: Namespace) -> None:
    """Train as a job and put its model in build/model."""
    wanted = jobs.wanted(run.training)
    run.target.check(run.config)
    question = f"Start a training job on {wanted.machine}? It is billed until it ends."
    job = jobs.run(run.training, wanted, lambda: run.ask(question) if run.live else None)
    jobs.bring(run.training, job)


def optimize(run: Run, options: Namespace) -> None:
    """Try what makes the model lighter, and keep what is worth it for the next package."""
    environment = configuration.container_environment(run.config)
    place = optimizing.Place(run.model, run.code, run.variant, environment)
    optimizing.optimize(place, optimizing.Order(options.choose, options.cosine, options.input))
