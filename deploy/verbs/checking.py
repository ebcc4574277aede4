"""Before a deploy: what would fail there, found here."""

from argparse import Namespace

from deploy.checking import command
from deploy.checking.command import Project
from deploy.verbs import stages
from deploy.verbs.run import Run


def check(run: Run, options: Namespace) -> None:
    """Serve the archive as a container would, and look it through."""
    archive = stages.packaged(run)
    command.check(Project(run.project, run.config, run.cloud), archive)
