"""What was asked of IAM and how it was answered, as long as the local cloud runs."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.iam.policies import Decision, Demand

MOST = 300  # different uses of one action by one principal that are kept; a batch reads objects without end
# What differs from call to call and is of no account afterwards.
_FLEETING = ("aws:currenttime", "aws:epochtime", "aws:userid")


@dataclass(frozen=True)
class Use:
    """A demand and its answer. `principal` is the role's ARN for a session, else the user's."""

    principal: str
    action: str
    resource: str
    allowed: bool
    why: str
    by: str
    context: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def demand(self) -> Demand:
        """What was demanded."""
        return Demand(self.action, self.resource, dict(self.context))


class Ledger:
    """The different uses, and how often there was each. Its methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._uses: dict[Use, int] = {}
        self._kinds: Counter[tuple[str, str, bool]] = Counter()

    def note(self, principal: str, demand: Demand, decision: Decision) -> None:
        """Takes it down."""
        context = tuple(sorted((k, v) for k, v in demand.context.items() if k not in _FLEETING))
        answer = (decision.allowed, decision.why, decision.by)
        use = Use(principal, demand.action, demand.resource, *answer, context)
        with self._lock:
            kind = (principal, demand.action, decision.allowed)
            if use in self._uses:
                self._uses[use] += 1
            elif self._kinds[kind] < MOST:
                self._kinds[kind] += 1
                self._uses[use] = 1

    def as_json(self) -> list[dict[str, Any]]:
        """All uses in the order of their first time; `uses_of` reads them."""
        with self._lock:
            return [{**vars(use), "context": dict(use.context), "count": n} for use, n in self._uses.items()]


def uses_of(found: Iterable[Mapping[str, Any]]) -> list[Use]:
    """What `as_json` gave."""
    return [_use(one) for one in found]


def _use(one: Mapping[str, Any]) -> Use:
    context = tuple((key, tuple(values)) for key, values in one["context"].items())
    words = {name: one[name] for name in ("principal", "action", "resource", "allowed", "why", "by")}
    return Use(**words, context=context)
