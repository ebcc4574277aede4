"""What IAM was asked and how it answered, in lines: calls made but not allowed, rights never used. Pure.

`told` is what `Authority.told` gives: every different use so far, and every role with its statements.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from infra.local.iam import ledger, policies
from infra.local.iam.conditions import Unknown, as_list
from infra.local.iam.ledger import Use
from infra.local.iam.policies import ADMINISTRATOR, Rights, Statement, Who

Told = Mapping[str, Any]


def refused(told: Told) -> list[str]:
    """Each call that was made and not allowed, once."""
    denied = [use for use in _uses(told) if not use.allowed]
    return _once(f"{_short(use.principal)}: {_named(use)} {use.why}".rstrip() for use in denied)


def refused_to(told: Told, role: str) -> list[str]:
    """What the administrator did that a role of this name may not; raises KeyError for an unknown role."""
    statements = _statements(told, role)
    rights = Rights((tuple(statements),))
    done = [use for use in _uses(told) if use.principal.endswith(f":{ADMINISTRATOR}")]
    answers = [(use, policies.decide(rights, use.demand, Who())) for use in done]
    return _once(f"{_named(use)} {answer.why}" for use, answer in answers if not answer.allowed)


def unused(told: Told) -> list[str]:
    """What roles are allowed and none of them did: actions and resources of each statement."""
    found = []
    for role in told["roles"]:
        own = [use for use in _uses(told) if use.principal == role["arn"]]
        lines = [line for one in _statements(told, role["arn"]) for line in _idle(one, own)]
        name = _short(role["arn"])
        found += [f"{name}: {line}" for line in lines] if own else [f"{name}: nobody acted in this role"]
    return found


def _statements(told: Told, role: str) -> list[Statement]:
    for one in told["roles"]:
        if role in (one["arn"], one["arn"].rpartition("/")[2]):
            return [Statement(**statement) for statement in one["statements"]]
    raise KeyError(role)


def _idle(statement: Statement, uses: Sequence[Use]) -> Iterator[str]:
    if not statement.allows:
        return
    if not _is_used(statement, uses):
        yield f"{statement.label}: nothing of it"
        return
    for element in ("Action", "Resource"):
        written = as_list(statement.body.get(element, []))
        for one in written if len(written) > 1 else ():
            part = Statement(statement.policy, statement.number, {**statement.body, element: one})
            if not _is_used(part, uses):
                yield f"{statement.label}: {one}"


def _is_used(statement: Statement, uses: Iterable[Use]) -> bool:
    for use in uses:
        try:
            if policies.applies(statement, use.demand):
                return True
        except Unknown:
            continue
    return False


def _uses(told: Told) -> list[Use]:
    return ledger.uses_of(told["uses"])


def _named(use: Use) -> str:
    return f"{use.action} on {use.resource}"


def _short(arn: str) -> str:
    """role/NAME, user/NAME."""
    return arn.split(":", 5)[-1]


def _once(lines: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(lines))
