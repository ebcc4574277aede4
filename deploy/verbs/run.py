"""One command: what it is about, where, and the parts of the cloud that it speaks to."""

import importlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from deploy import locks, rollout, terminal
from deploy.batch.cloud import Cloud, Storage, Transforms
from deploy.config import Config
from deploy.money.billing import Billing
from deploy.package import variants
from deploy.target import Quotas, Target, Trainings
from deploy.training import jobs

if TYPE_CHECKING:
    from deploy import aws, gcp
    from deploy.aws import billing, quotas, storage, trainings, transforms
    from deploy.aws import locks as aws_locks
    from deploy.gcp import billing as gcp_billing
    from deploy.gcp import locks as gcp_locks
    from deploy.gcp import quotas as gcp_quotas
    from deploy.gcp import storage as gcp_storage
    from deploy.gcp import trainings as gcp_trainings
    from deploy.gcp import transforms as gcp_transforms

    # The type checker sees to it that the modules are what they are used as.
    _: Target = aws
    _gcp: Target = gcp
    _trainings: Trainings = trainings
    _gcp_trainings: Trainings = gcp_trainings
    _billing: Billing = billing
    _gcp_billing: Billing = gcp_billing
    _storage: Storage = storage
    _transforms: Transforms = transforms
    _gcp_storage: Storage = gcp_storage
    _gcp_transforms: Transforms = gcp_transforms
    _quotas: Quotas = quotas
    _gcp_quotas: Quotas = gcp_quotas
    _locks: locks.Store = aws_locks
    _gcp_locks: locks.Store = gcp_locks

KIT = Path(__file__).resolve().parents[2]
LAUNCHERS = [KIT / "training" / name for name in ("launch.py", "launch_vertex.py")]
TARGETS = {"aws": "deploy.aws", "gcp": "deploy.gcp"}


class VerbError(Exception):
    """A verb cannot do what it was asked; the message says why and what to do."""


@dataclass(frozen=True)
class Run:
    """One command: what it is about, where, and what was agreed to beforehand."""

    project: Path
    config: Config
    cloud: str
    yes: bool
    live: bool

    # The SDK's modules, imported when they are first used: to score on this machine takes none.
    @property
    def target(self) -> Target:
        return cast(Target, part(self.cloud))

    @property
    def trainings(self) -> Trainings:
        return cast(Trainings, part(self.cloud, "trainings"))

    @property
    def batches(self) -> Cloud:
        storage, transforms = part(self.cloud, "storage"), part(self.cloud, "transforms")
        return Cloud(self.config, cast(Storage, storage), cast(Transforms, transforms))

    @property
    def billing(self) -> Billing:
        return cast(Billing, part(self.cloud, "billing"))

    @property
    def quotas(self) -> Quotas:
        return cast(Quotas, part(self.cloud, "quotas"))

    @property
    def model(self) -> Path:
        return self.project / "build" / "model"

    @property
    def variant(self) -> Path:
        """What `optimize` leaves."""
        return self.project / "build" / variants.FOLDER

    @property
    def code(self) -> Path:
        return self.project / "inference"

    @property
    def place(self) -> rollout.Place:
        return rollout.Place(self.target, self.config)

    @property
    def training(self) -> jobs.Site:
        return jobs.Site(self.project, self.config, self.trainings, LAUNCHERS)

    def locked(self, verb: str) -> AbstractContextManager[None]:
        """Nobody else changes this deployment meanwhile. Raises LockError where somebody does."""
        return locks.held(cast(locks.Store, part(self.cloud, "locks")), self.config, verb)

    def ask(self, question: str) -> None:
        """Go on if the person agrees, now or beforehand. Raises VerbError if not."""
        if not self.yes and not terminal.agrees(question):
            raise VerbError("nothing was changed")


def part(cloud: str, name: str = "") -> Any:
    """A cloud's module, or a part of it."""
    try:
        return importlib.import_module(".".join(filter(None, (TARGETS[cloud], name))))
    except ImportError as error:
        raise VerbError(
            f"CLOUD={cloud} needs {error.name}: python -m pip install -c constraints.txt "
            f"-r deploy/requirements-{cloud}.txt (make does it)"
        ) from error
