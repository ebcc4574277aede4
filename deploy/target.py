"""What a cloud must do for the verbs: the functions that aws.py has, and gcp.py will.

A target reads (`check`, `observed`, `settle`, `status`, `logs`, `invoke`), writes (`apply`) and says what it
would write without a network (`desired`, `endpoint`, `example`). The verbs know nothing else of a cloud.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from deploy.config import Config
from deploy.package import Archive
from deploy.plan import Change, Resource

Say = Callable[[str], None]  # takes the state of what is under way, as often as it is looked at


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


@dataclass(frozen=True)
class Request:
    """One prediction asked for. An empty `accept` leaves the answer's content type to the container."""

    body: bytes
    content_type: str = "application/json"
    accept: str = ""


@dataclass(frozen=True)
class Answer:
    body: bytes
    content_type: str


@dataclass(frozen=True)
class Event:
    """One line that a container printed."""

    time: datetime
    stream: str
    text: str
    id: str = ""


class Target(Protocol):
    """A module of functions. Those that speak to the cloud raise CloudError, never an SDK's own errors."""

    def check(self, config: Config) -> None:
        """Fail now if credentials, bucket or region are wrong: nothing has been written yet."""

    def desired(self, config: Config, archive: Archive) -> list[Resource]:
        """What must be there to serve the archive, from what is depended on to what depends on it."""

    def endpoint(self, config: Config, version: str) -> Resource:
        """The endpoint that serves this version."""

    def observed(self, config: Config) -> list[Resource]:
        """What is there under this deployment's names, in the order of `desired`."""

    def traces(self, config: Config) -> list[Resource]:
        """What a deployment leaves besides its resources: `destroy` takes it away, a deploy does not."""

    def settle(self, config: Config, say: Say) -> None:
        """Return once the endpoint is not changing, whatever its state is then."""

    def apply(self, config: Config, change: Change, say: Say) -> None:
        """Make one change and return when it has happened.

        Raises Refused if nothing was changed, NotServed if the endpoint settled on something else.
        """

    def invoke(self, config: Config, request: Request) -> Answer:
        """The endpoint's answer."""

    def status(self, config: Config) -> dict[str, str]:
        """What the endpoint is and does; empty if there is none."""

    def logs(self, config: Config, since: datetime) -> list[Event]:
        """What the containers printed from `since` on, in the order of time."""

    def logs_of_new(self, config: Config, since: datetime) -> list[Event]:
        """The same of those containers alone that were started from `since` on; empty if there is none."""

    def example(self, config: Config, request: Request) -> str:
        """Lines of Python that post the request through the cloud's own SDK and print the answer."""
