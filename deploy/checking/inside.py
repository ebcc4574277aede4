"""`python -m deploy.checking.inside`: the process that gives up its rights and then runs the container.

It is asked by one line of JSON on standard input, an Order, and answers by lines of JSON: {"state": …} while
something goes on, and at the end {"outcome": …}. The verb cannot do this itself: a network of one's own is
for a whole process, and nobody gets the old one back.
"""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from pathlib import Path
from typing import Any

from deploy.checking import isolation
from deploy.checking.container import Asked, Outcome, Start, tried
from deploy.checking.contracts import Reply
from deploy.checking.isolation import Isolation


@dataclasses.dataclass(frozen=True)
class Order:
    """What to run: the Python, the folders as in layout.Layout, the container's variables, and the samples.

    `parent` is the process that asks, with whose end this one ends, too. `old` is whether the handler is one
    of another server, and `network` whether it keeps the network.
    """

    python: str
    runtime: str
    model: str
    home: str
    environment: dict[str, str]
    samples: list[str]
    old: bool
    network: bool
    parent: int


def written(order: Order) -> str:
    """The order as a line of JSON."""
    return json.dumps(dataclasses.asdict(order)) + "\n"


def read(document: dict[str, Any]) -> Outcome:
    """An outcome from its JSON."""
    replies = [
        Asked(one["number"], tuple(Reply(**reply) for reply in one["replies"])) for one in document["asked"]
    ]
    return Outcome(**{**document, "isolation": Isolation(**document["isolation"]), "asked": replies})


def main() -> int:
    """Do what standard input asks for."""
    order = Order(**json.loads(sys.stdin.readline()))
    signal.signal(signal.SIGTERM, _stop)
    isolation.adopt_orphans()
    home = Path(order.home)
    python, model, runtime = Path(order.python), Path(order.model), Path(order.runtime)
    taken = isolation.isolate(order.network, [python, model, runtime], home)
    isolation.die_with_parent(signal.SIGTERM, order.parent)
    try:
        start = Start(python, home / "work", order.environment, taken)
        outcome = tried(start, [sample.encode() for sample in order.samples], order.old, _say)
    finally:
        isolation.end_children()
    _tell({"outcome": dataclasses.asdict(outcome)})
    return 0


def _stop(*_: object) -> None:
    isolation.end_children()  # at once, where /proc shows them
    sys.exit(1)


def _say(state: str) -> None:
    _tell({"state": state})


def _tell(document: dict[str, Any]) -> None:
    print(json.dumps(document), flush=True)


if __name__ == "__main__":
    sys.exit(main())
