"""What a person can ask for: each verb names its stages and leaves the rest to them."""

import importlib
from argparse import Namespace
from collections.abc import Callable

from deploy import asking, image, locks, optimizing, package, terminal, unpack
from deploy import config as configuration
from deploy import plan as plans
from deploy.batch.places import BatchError
from deploy.checking import Broken, CheckError
from deploy.latency import LatencyError
from deploy.target import CloudError
from deploy.training import jobs
from deploy.verbs.run import Run, VerbError

# Where each verb is: a function of its name, with `_` for `-`.
MODULES = {
    "deploy-endpoint": "serving",
    "plan": "serving",
    "rollback": "serving",
    "destroy": "serving",
    "check": "checking",
    "infra": "account",
    "batch-transform": "scoring",
    "train": "preparing",
    "optimize": "preparing",
    "invoke": "calling",
    "latency": "calling",
    "status": "watching",
    "logs": "watching",
}
# For these the image must have a name; the others do, whatever is the matter with what it is built of.
WITH_AN_IMAGE = {"deploy-endpoint", "plan", "batch-transform", "train", "check"}
# What a person gets told in a sentence and without a traceback.
EXPECTED = (
    VerbError,
    configuration.ConfigError,
    package.PackageError,
    image.ContextError,
    plans.PlanError,
    CloudError,
    locks.LockError,
    jobs.TrainingError,
    BatchError,
    LatencyError,
    asking.AskError,
    optimizing.OptimizingError,
    CheckError,
    Broken,
    unpack.UnpackError,
    terminal.NoTerminal,
    OSError,
)


def run(options: Namespace) -> None:
    """Do the verb that the options name. Raises one of EXPECTED, or KeyboardInterrupt."""
    config = configuration.load(options.project)
    configuration.check_cloud(config, options.cloud)
    if options.verb in WITH_AN_IMAGE:
        config = image.resolved(config, options.project, options.cloud)
    module = importlib.import_module(f"deploy.verbs.{MODULES[options.verb]}")
    verb: Callable[[Run, Namespace], None] = getattr(module, options.verb.replace("-", "_"))
    return verb(Run(options.project, config, options.cloud, options.yes, options.live), options)
