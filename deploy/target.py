"""What a cloud must do for the verbs: the functions that `deploy.aws` and `deploy.gcp` have.

A target reads (`check`, `observed`, `settle`, `status`, `logs`, `invoke`), writes (`apply`) and says what it
would write without a network (`desired`, `in_service`, `example`). The verbs know nothing else of a cloud.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from deploy.config import Config
from deploy.latency.told import Told
from deploy.money.machines import Machines
from deploy.package import Archive
from deploy.plan import Change, Resource
from deploy.training.bundles import Bundle

Say = Callable[[str], None]  # takes the state of what is under way, as often as it is looked at
Watch = Callable[[], None]  # asks what serves, time and again; raises CloudError where that is not well
Heard = Callable[[bytes], object]  # takes an answer's pieces as they come; one that comes whole is one piece


class CloudError(Exception):
    """The cloud refused, failed or was not reached; the message says which, where, and what to do."""


class Refused(CloudError):
    """The cloud refused a change and nothing of it was made."""


class NotServed(CloudError):
    """The endpoint has settled and does not serve what was asked for.

    `since` is the cloud's own time at which the change began: what the container said, it said after that.
    """

    def __init__(self, message: str, since: datetime) -> None:
        super().__init__(message)
        self.since = since


def ignored(piece: bytes) -> None:
    """Hears a piece, and does nothing with it."""


def unwatched() -> None:
    """Asks nothing."""


@dataclass(frozen=True)
class Request:
    """One prediction asked for. An empty `accept` leaves the answer's content type to the container.

    `timed` asks the container to tell where the answer's time went, `streams` is for an answer that comes in
    pieces.
    """

    body: bytes
    content_type: str = "application/json"
    accept: str = ""
    timed: bool = False
    streams: bool = False


@dataclass(frozen=True)
class Answer:
    """What came back, after how many milliseconds from the call, and how often the SDK asked again for it.

    `told` is what the container said of its own part, if it was asked and the platform hands that on; of an
    answer that came in pieces it is the part before the first one, which was here after `first_ms`.
    """

    body: bytes
    content_type: str
    took_ms: float = 0.0
    told: Told | None = None
    retries: int = 0
    first_ms: float | None = None  # None of an answer that came whole


@dataclass(frozen=True)
class Event:
    """One line that a container printed."""

    time: datetime
    stream: str
    text: str
    id: str = ""


@dataclass(frozen=True)
class Wanted:
    """A training job before it has a name: the request, and the 12 digits that stand for all of it."""

    digest: str
    machine: str  # what it runs on, as a person is told before it is billed
    params: dict[str, Any]
    bundles: tuple[Bundle, ...]


@dataclass(frozen=True)
class TrainingJob:
    """A training job as the cloud tells it. `state` is one of SageMaker's TrainingJobStatus.

    `ended` is when it came to its final state, else when it last changed; `seconds` of it are billed.
    """

    name: str
    state: str
    phase: str  # what it does just now, in the cloud's word
    created: datetime
    ended: datetime
    reason: str = ""  # why it failed
    model: str = ""  # the URI of the model's archive, or of the folder of its files
    seconds: int | None = None
    metrics: dict[str, float] = field(default_factory=dict)  # empty where the cloud reads none


class Trainings(Protocol):
    """A module of functions beside a target's: training jobs. They raise CloudError as a target's do."""

    @property
    def SCHEME(self) -> str:  # noqa: N802 - a module's constant
        """What the URIs of data that jobs read begin with."""

    def image(self, config: Config) -> str:
        """The image to train in: deploy.toml's, else the cloud's own. CloudError where neither is known."""

    def serving_image(self, config: Config) -> str:
        """The image that serves what was trained."""

    def desired(self, config: Config, image: str, bundles: Sequence[Bundle]) -> Wanted:
        """The job that trains on these bundles. Reads nothing; CloudError for what the cloud cannot do."""

    def check(self, config: Config, wanted: Wanted) -> None:
        """Fail now if data that lies in the cloud is not there or not to be read: nothing was written yet."""

    def running(self, config: Config, wanted: Wanted) -> str:
        """The name of a job of this deployment that does just this; empty if there is none."""

    def new_name(self, config: Config, wanted: Wanted) -> str:
        """A name that no job has had."""

    def stage(self, config: Config, wanted: Wanted, say: Say) -> None:
        """Bring the bundles to where the job reads them; what is there already is not sent again."""

    def start(self, config: Config, wanted: Wanted, name: str) -> None:
        """Start the job under this name."""

    def look(self, config: Config, name: str) -> TrainingJob:
        """The job as it is now."""

    def printed(self, config: Config, name: str, since: datetime) -> list[Event]:
        """What the job's container printed from `since` on, in the order of time."""

    def stop(self, config: Config, name: str) -> None:
        """Ask the job to stop; nothing happens to one that has ended or never began."""

    def newest(self, config: Config) -> TrainingJob | None:
        """The newest job of this deployment that completed and whose model is still there."""

    def fetch(self, config: Config, job: TrainingJob, to: Path, say: Say) -> None:
        """Bring the job's model here, as this file: a gzip'd tar."""


class Part(Protocol):
    """A module beside a target's: one kind of resource that stands around an endpoint, such as its alarms.

    Its functions raise the SDK's own errors, which the target tells as sentences.
    """

    @property
    def KIND(self) -> str:  # noqa: N802 - a module's constant
        """The kind of its resources, one word as the plan shows it."""

    def desired(self, config: Config) -> list[Resource]:
        """What deploy.toml asks for, read nowhere. A name without a digest has one as its `version`."""

    def observed(self, config: Config) -> list[Resource]:
        """What is there under this deployment's names; what is not ours says so."""

    def make(self, config: Config, resource: Resource, say: Say) -> None:
        """Create it, or bring the one of this name to what it asks for; return when that has happened."""

    def remove(self, config: Config, resource: Resource) -> None:
        """Delete it; nothing happens where it is gone."""


class Quotas(Protocol):
    """A module of functions beside a target's: which machines there may be."""

    def check(self, config: Config, machines: Machines) -> None:
        """Fail now if the region or the account may not have these, as far as the cloud tells beforehand."""


class Target(Protocol):
    """A module of functions. Those that speak to the cloud raise CloudError, never an SDK's own errors."""

    def check(self, config: Config) -> None:
        """Fail now if credentials, bucket or region are wrong: nothing has been written yet."""

    def desired(self, config: Config, archive: Archive) -> list[Resource]:
        """What must be there to serve the archive, from what is depended on to what depends on it."""

    def in_service(self, config: Config, version: str, guarded: bool = True) -> list[Resource]:
        """The endpoint that serves this version, between what it needs besides and what stands upon it.

        Where it is not `guarded`, the version takes all traffic at once, whatever deploy.toml says.
        """

    def candidate(self, config: Config, version: str) -> Resource:
        """An endpoint beside the deployment's, on which this version is asked before it takes traffic."""

    def observed(self, config: Config) -> list[Resource]:
        """What is there under this deployment's names, in the order of `desired`."""

    def traces(self, config: Config) -> list[Resource]:
        """What a deployment leaves besides its resources: `destroy` takes it away, a deploy does not."""

    def settle(self, config: Config, say: Say) -> None:
        """Return once the endpoint is not changing, whatever its state is then."""

    def apply(self, config: Config, change: Change, say: Say, watch: Watch = unwatched) -> None:
        """Make one change and return when it has happened.

        `watch` is asked while a version takes traffic over where the cloud itself watches nothing.
        Raises Refused if nothing was changed, NotServed if the endpoint settled on something else.
        """

    def invoke(self, config: Config, request: Request, heard: Heard = ignored) -> Answer:
        """The endpoint's answer. CloudError also where it breaks off after some of its pieces."""

    def caller(self, config: Config) -> Callable[[Request], Answer]:
        """What answers as `invoke` does, for many requests: it may be called from several threads at once.

        The endpoint is looked up here and not again, so an answer takes no more calls than itself.
        """

    def status(self, config: Config) -> dict[str, str]:
        """What the endpoint is and does; empty if there is none."""

    def logs(self, config: Config, since: datetime) -> list[Event]:
        """What the containers printed from `since` on, in the order of time."""

    def logs_of_new(self, config: Config, since: datetime) -> list[Event]:
        """The same of those containers alone that were started from `since` on; empty if there is none."""

    def example(self, config: Config, request: Request) -> str:
        """Lines of Python that post the request through the cloud's own SDK and print the answer."""
