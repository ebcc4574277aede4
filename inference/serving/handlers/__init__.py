"""Handlers written for another server, answered as that server answered them: the seam they all meet.

shapes.py says which of them a code directory holds; one module of this folder for each shape loads it into an
OldHandler. Nothing here knows of sockets, threads or processes, and importing it imports no model library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Call:
    """One request as it came.

    `content_type` and `accept` are the raw headers, "" where none was sent. `headers` are the others that a
    handler may ask for (X-Amzn-SageMaker-Custom-Attributes, …), their names in lower case.
    """

    body: bytes
    content_type: str = ""
    accept: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """One reply as the old server would have sent it; `content_type` "" sends no such header.

    `failure` is the handler's own exception where it raised one: it is for the log, its traceback included.
    """

    status: int
    body: bytes
    content_type: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    failure: BaseException | None = None


@dataclass(frozen=True)
class Intake:
    """How a handler gets the records of a file in a job, where nobody else writes the requests.

    `whole` are the content types of bodies that it gets as they are, many lines or rows in one request, each
    with the content type to call it. Of any other body each record becomes JSON, and a request by itself: as
    it stands, or under `key` in an object. With `listed`, one request has many under `key`, in a list. A
    record that is such an object already goes as it is, alone.

    `accepts` is what to ask for where lines of that content type are wanted; for others JSON is asked for.
    """

    key: str = ""
    listed: bool = False
    whole: Mapping[str, str] = field(default_factory=dict)
    accepts: Mapping[str, str] = field(default_factory=dict)

    def told(self, name: str) -> str:
        """What to say of it in the log: how the records of a job come to the handler of this name."""
        form = "each as a request of JSON"
        if self.key:
            form = f'many as {{"{self.key}": [...]}}' if self.listed else f'each as {{"{self.key}": ...}}'
        whole = f"{' and '.join(self.whole)} as they come, other " if self.whole else ""
        return f"in a job {name} gets {whole}records {form}"


class OldHandler(Protocol):
    """A loaded handler. `shape` is what the log calls it at start, such as "SageMaker inference.py"."""

    @property
    def shape(self) -> str: ...

    @property
    def intake(self) -> Intake: ...

    def answer(self, call: Call) -> Answer:
        """The answer to one request. It raises nothing: what goes wrong is an Answer with the status and body
        that the old server sent then."""
        ...

    def answer_all(self, calls: Sequence[Call]) -> list[Answer]:
        """One answer for each request, in their order. They share a call of the handler only where the old
        server batched; everywhere else this is one_by_one."""
        ...


def one_by_one(handler: OldHandler, calls: Sequence[Call]) -> list[Answer]:
    """What answer_all is for a handler whose old server never batched."""
    return [handler.answer(call) for call in calls]
