"""Whether policies allow what a call demands. Pure.

Source: IAM user guide, reference_policies_evaluation-logic: an explicit Deny wins; then something must allow.
A statement that cannot be judged (an element, operator or key that is not known here) allows nothing, and
denies if it is a Deny; the decision says so.
"""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from infra.local.iam import conditions, patterns
from infra.local.iam.conditions import Unknown, as_list
from infra.local.iam.patterns import Context

ADMINISTRATOR = "user/administrator"  # the end of the ARN of whoever has a key that IAM does not know
ELEMENTS = frozenset(
    ("Sid", "Effect", "Condition", "Action", "NotAction", "Resource", "NotResource", "Principal")
) | {"NotPrincipal"}


@dataclass(frozen=True)
class Demand:
    """What a call needs: an action on a resource, and what the conditions may ask of the request."""

    action: str
    resource: str
    context: Context = field(default_factory=dict)


@dataclass(frozen=True)
class Who:
    """Who asks, as the Principal of a bucket's policy or of a role's trust policy names them.

    `role` is the role's ARN where `arn` is a session's; `service` is a service's name
    (sagemaker.amazonaws.com), which has no ARN. An anonymous caller has neither.
    """

    arn: str = ""
    role: str = ""
    account: str = ""
    service: str = ""


@dataclass(frozen=True)
class Statement:
    """A statement and where it stands: `policy` is its name, `number` counts from 1."""

    policy: str
    number: int
    body: Mapping[str, Any]

    @property
    def label(self) -> str:
        """What a person calls it: `policy/Sid`, or `policy/#2` where it has none."""
        return f"{self.policy}/{self.body.get('Sid') or f'#{self.number}'}"

    @property
    def allows(self) -> bool:
        """Whether it is an Allow; whatever else it says denies."""
        return self.body.get("Effect") == "Allow"


Policy = tuple[Statement, ...]


@dataclass(frozen=True)
class Rights:
    """All policies that bear on a call. `bounds` each must allow it, too: a boundary, a session's policy."""

    identity: tuple[Policy, ...] = ()
    bounds: tuple[Policy, ...] = ()
    resource: tuple[Policy, ...] = ()  # a bucket's, which has principals


@dataclass(frozen=True)
class Decision:
    """Whether it is allowed; `why` ends AWS's sentence, `by` is the label of the statement that decided."""

    allowed: bool
    why: str
    by: str = ""


def parse(name: str, document: str | Mapping[str, Any]) -> Policy:
    """The policy's statements. One that is no policy denies everything, and its label says so."""
    try:
        body = _loaded(document) if isinstance(document, str) else document
        statements = as_list(body["Statement"])
        return tuple(Statement(name, number, dict(one)) for number, one in enumerate(statements, start=1))
    except (ValueError, KeyError, TypeError) as error:
        unreadable = {"Sid": f"unreadable: {error}", "Effect": "Deny", "Action": "*", "Resource": "*"}
        return (Statement(name, 1, unreadable),)


def decide(rights: Rights, demand: Demand, who: Who) -> Decision:
    """AWS's evaluation within one account."""
    unknown: list[str] = []
    for policy in (*rights.identity, *rights.bounds, *rights.resource):
        for statement in policy:
            if not statement.allows and _denies(statement, demand, who, unknown):
                return Decision(False, _denied(statement, rights, demand, unknown), statement.label)
    by_resource = _allowing(rights.resource, demand, who, unknown)
    allowing = _allowing(rights.identity, demand, who, unknown)
    bounded = all(_allowing((bound,), demand, who, unknown) for bound in rights.bounds)
    if by_resource:
        return Decision(True, "", by_resource.label)
    if allowing and bounded:
        return Decision(True, "", allowing.label)
    kind = "permissions boundary" if allowing else "identity-based policy"
    return Decision(False, f"because no {kind} allows the {demand.action} action{_told(unknown)}")


def applies(statement: Statement, demand: Demand, who: Who = Who()) -> bool:  # noqa: B008 - frozen
    """Whether the statement speaks of this demand. Raises Unknown."""
    body = statement.body
    if not _chosen(body, "Action", lambda one: patterns.like_action(one, demand.action)):
        return False
    if not _chosen(body, "Resource", lambda one: _covers(one, demand)):
        return False
    if strange := body.keys() - ELEMENTS:
        raise Unknown(f"the element {min(strange)} of {statement.label}")
    return _means(body, who) and conditions.hold(body.get("Condition") or {}, demand.context)


def trusting(trust: Policy, demand: Demand, who: Who) -> Statement | None:
    """The statement of a role's trust policy by which this caller may assume it."""
    if any(not one.allows and _denies(one, demand, who, []) for one in trust):
        return None
    return _allowing((trust,), demand, who, [])


def names_itself(statement: Statement, who: Who) -> bool:
    """Whether the principal is named by its own ARN: then no policy of its own is needed in the account."""
    principal = statement.body.get("Principal")
    named = as_list(principal.get("AWS", [])) if isinstance(principal, dict) else []
    return any(one in named for one in (who.arn, who.role) if one)


@lru_cache(1024)
def _loaded(document: str) -> Mapping[str, Any]:
    text = urllib.parse.unquote(document) if document.lstrip().startswith("%7B") else document
    loaded: Mapping[str, Any] = json.loads(text)
    return loaded


def _denies(statement: Statement, demand: Demand, who: Who, unknown: list[str]) -> bool:
    try:
        return applies(statement, demand, who)
    except Unknown as error:
        unknown.append(str(error))
        return True


def _allowing(policies: Iterable[Policy], demand: Demand, who: Who, unknown: list[str]) -> Statement | None:
    for statement in (one for policy in policies for one in policy if one.allows):
        try:
            if applies(statement, demand, who):
                return statement
        except Unknown as error:
            unknown.append(str(error))
    return None


def _denied(statement: Statement, rights: Rights, demand: Demand, unknown: list[str]) -> str:
    kind = "a resource-based policy" if statement in _all(rights.resource) else "an identity-based policy"
    return f"with an explicit deny in {kind}{_told(unknown)}"


def _all(policies: Iterable[Policy]) -> Iterator[Statement]:
    return (one for policy in policies for one in policy)


def _told(unknown: list[str]) -> str:
    return f" (the local cloud does not know {', '.join(sorted(set(unknown)))})" if unknown else ""


def _chosen(body: Mapping[str, Any], element: str, meant: Any) -> bool:
    """By `Action` or `NotAction`; a trust policy has no Resource, and speaks of its role."""
    if f"Not{element}" in body:
        return not any(meant(one) for one in as_list(body[f"Not{element}"]))
    if element not in body:
        return element == "Resource" and "Principal" in body
    return any(meant(one) for one in as_list(body[element]))


def _covers(pattern: str, demand: Demand) -> bool:
    return pattern == "*" or patterns.like_arn(pattern, demand.resource, demand.context)


def _means(body: Mapping[str, Any], who: Who) -> bool:
    if "NotPrincipal" in body:
        return not _named(body["NotPrincipal"], who)
    return "Principal" not in body or _named(body["Principal"], who)


def _named(principal: Any, who: Who) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict):
        return False
    if who.service:
        return who.service in as_list(principal.get("Service", []))
    return any(_is(one, who) for one in as_list(principal.get("AWS", [])))


def _is(named: str, who: Who) -> bool:
    account = {who.account, f"arn:aws:iam::{who.account}:root"} if who.account else set()
    return named == "*" or named in {who.arn, who.role, *account} - {""}
