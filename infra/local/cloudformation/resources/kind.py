"""What a kind of resource is to CloudFormation: how one is made, changed and taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.clients import Account

Properties = Mapping[str, Any]


class Failed(Exception):
    """The service's refusal; the message is the reason that CloudFormation gives in its event."""


@dataclass(frozen=True)
class Kind:
    """Each function gets the account and the resource's physical name, and raises ClientError or Failed.

    `settle` brings one that is there from the old properties to the new ones; of a new one, the old are none.
    `tells` has what Ref gives as "Ref", and each attribute that Fn::GetAtt may ask for.
    """

    properties: frozenset[str]
    named_by: str  # the property that names it, as "Outer.Inner" where it lies deeper
    fixed: frozenset[str]  # another value of these is another resource
    create: Callable[[Account, str, Properties], None]
    settle: Callable[[Account, str, Properties, Properties], None]
    delete: Callable[[Account, str, Properties], None]
    tells: Callable[[Account, str, Properties], Mapping[str, str]]


def named(kind: Kind, properties: Properties) -> str:
    """The name that the properties give; "" where they leave it to CloudFormation."""
    found: Any = properties
    for key in kind.named_by.split("."):
        found = found.get(key, "") if isinstance(found, Mapping) else ""
    return str(found)


def nothing(account: Account, name: str, new: Properties, old: Properties) -> None:
    """For a kind whose creation says it all."""


def arn(account: Account, service: str, rest: str, regional: bool = True) -> str:
    """The ARN of something of this account."""
    region = account.caller.region if regional else ""
    return f"arn:aws:{service}:{region}:{account.caller.account}:{rest}"


def camel(value: Any, spelled: Mapping[str, str]) -> Any:
    """CloudFormation's keys as an API writes them: a small letter first, but for those that are `spelled`."""
    if isinstance(value, dict):
        return {spelled.get(k, k[:1].lower() + k[1:]): camel(v, spelled) for k, v in value.items()}
    return [camel(one, spelled) for one in value] if isinstance(value, list) else value
