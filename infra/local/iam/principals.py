"""Who asks: the user or the role behind an access key, and the policies that hold for them.

moto keeps the records. An access key that IAM or STS gave out is its user's or its role's. Every other is the
account's administrator, who may do everything: so it is without any set-up. Signatures are not verified.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from moto.iam.models import iam_backends
from moto.sts.models import sts_backends
from moto.utilities.utils import get_partition

from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.iam import policies
from infra.local.iam.patterns import Context
from infra.local.iam.policies import ADMINISTRATOR, Policy, Who

EVERYTHING = policies.parse(
    "AdministratorAccess", {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}
)
_INVALID = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"


@dataclass(frozen=True)
class Principal:
    """A caller, with the policies that are asked; an administrator's are not."""

    who: Who
    is_administrator: bool = False
    identity: tuple[Policy, ...] = ()
    bounds: tuple[Policy, ...] = ()
    context: Context = field(default_factory=dict)


def of_caller(caller: Caller, token: str | None) -> Principal:
    """The principal behind the access key; `token` is the request's session token, None not to check it.

    Raises AwsError for a session that has ended, a token that is not the session's, and an inactive key.
    """
    key = _iam(caller).access_keys.get(caller.access_key)
    if key is None:
        return _administrator(caller)
    if key.role_arn:
        return _of_session(caller, token)
    if key.status != "Active":
        raise AwsError(403, "InvalidClientTokenId", _INVALID)
    return _of_user(caller, key.user_name)


def of_role(caller: Caller, role_arn: str, session: str) -> Principal:
    """A session of the role; one of a role that is not there (any more) has no rights."""
    role = role_of(caller, role_arn)
    name = role_arn.rpartition("/")[2]
    account = role_arn.split(":")[4] if role_arn.count(":") >= 5 else caller.account
    arn = f"arn:{get_partition(caller.region)}:sts::{account}:assumed-role/{name}/{session}"
    context = _context(arn=role_arn, account=account, kind="AssumedRole")
    if role is None:
        return Principal(Who(arn, role_arn, account), context=context)
    tags = {f"aws:principaltag/{one['Key'].lower()}": (one["Value"],) for one in role.tags or ()}
    context = {**context, **tags, "aws:userid": (f"{role.id}:{session}",)}
    bound = _managed(caller, [role.permissions_boundary_arn]) if role.permissions_boundary_arn else ()
    return Principal(Who(arn, role_arn, account), False, _held(role), tuple(bound), context)


def role_of(caller: Caller, role_arn: str) -> Any | None:
    """moto's record of the role, None where there is none of that ARN."""
    return next((role for role in _iam(caller).get_roles() if role.arn == role_arn), None)


def trust_of(role: Any) -> Policy:
    """The role's trust policy."""
    return policies.parse("trust", role.assume_role_policy_document)


def roles(caller: Caller) -> Mapping[str, tuple[Policy, ...]]:
    """The policies of every role of the account, by its ARN."""
    return {role.arn: _held(role) for role in _iam(caller).get_roles()}


def _iam(caller: Caller) -> Any:
    return iam_backends[caller.account][get_partition(caller.region)]


def _administrator(caller: Caller) -> Principal:
    arn = f"arn:{get_partition(caller.region)}:iam::{caller.account}:{ADMINISTRATOR}"
    context = _context(arn=arn, account=caller.account, kind="User")
    return Principal(Who(arn, "", caller.account), True, (EVERYTHING,), (), context)


def _of_session(caller: Caller, token: str | None) -> Principal:
    sessions = sts_backends[caller.account][get_partition(caller.region)]
    session = sessions.get_assumed_role_from_access_key(caller.access_key)
    if session is None or (token is not None and token != session.session_token):
        raise AwsError(403, "InvalidClientTokenId", _INVALID)
    if session.expiration.replace(tzinfo=UTC) < datetime.now(UTC):
        raise AwsError(403, "ExpiredToken", _EXPIRED)
    found = of_role(caller, session.role_arn, session.session_name)
    if not session.policy:
        return found
    bounds = (*found.bounds, policies.parse("session policy", session.policy))
    return Principal(found.who, False, found.identity, bounds, found.context)


def _of_user(caller: Caller, name: str) -> Principal:
    user = _iam(caller).get_user(name)
    groups = _iam(caller).get_groups_for_user(name)
    context = {
        **_context(arn=user.arn, account=caller.account, kind="User"),
        "aws:username": (name,),
        "aws:userid": (user.id,),
    }
    held = tuple(policy for owner in (user, *groups) for policy in _held(owner))
    return Principal(Who(user.arn, "", caller.account), False, held, (), context)


def _held(owner: Any) -> tuple[Policy, ...]:
    """The policies in, and attached to, a role, a user or a group."""
    inline = [policies.parse(name, document) for name, document in owner.policies.items()]
    attached = [policies.parse(one.name, _document(one)) for one in owner.managed_policies.values()]
    return (*inline, *attached)


def _managed(caller: Caller, arns: list[str]) -> Iterator[Policy]:
    known = _iam(caller).managed_policies
    for arn in arns:
        # A boundary that is not there (any more) allows nothing.
        yield policies.parse(arn, _document(known[arn])) if arn in known else ()


def _document(managed: Any) -> str:
    document = next(version.document for version in managed.versions if version.is_default)
    return document if isinstance(document, str) else json.dumps(document)


def _context(arn: str, account: str, kind: str) -> Context:
    return {
        "aws:principalarn": (arn,),
        "aws:principalaccount": (account,),
        "aws:principaltype": (kind,),
    }
