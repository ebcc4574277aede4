"""Training jobs on Vertex AI: none yet, so a model is one that lies here.

Of `deploy.target.Trainings` there is what a deploy asks for; the rest comes with the jobs.
"""

from __future__ import annotations

from deploy.config import Config
from deploy.target import CloudError, TrainingJob


def image(config: Config) -> str:
    """Raises CloudError: it is the first thing that a job would need."""
    raise CloudError(
        "there is no model in build/model, and CLOUD=gcp: train is not built yet: "
        "`.venv/bin/python training/launch.py --project …` trains one on this machine"
    )


def newest(config: Config) -> TrainingJob | None:
    """None: no job has trained a model."""
    return None
