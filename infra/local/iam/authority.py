"""What the rest of the local cloud asks: may this caller do that? Whatever is answered is taken down.

A refusal is an AwsError with the code AccessDenied and AWS's sentence, to which `refusals` gives the form of
each protocol.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.iam import buckets, policies, principals
from infra.local.iam.calls import Call
from infra.local.iam.ledger import Ledger
from infra.local.iam.patterns import Context
from infra.local.iam.policies import Decision, Demand, Rights, Statement, Who
from infra.local.iam.principals import Principal

SESSION = "SageMaker"  # the name of a session in which the service takes on an execution role
# The tags of what an ARN names: {"team": "a"}; nothing where they are not known.
TagsOf = Callable[[Caller, str], dict[str, str]]


class Authority:
    """The account's IAM, enforced. Its methods may be called from any thread."""

    def __init__(self, tags_of: TagsOf) -> None:
        self._tags_of = tags_of
        self._ledger = Ledger()

    def require(self, caller: Caller, principal: Principal, demands: Iterable[Demand]) -> None:
        """Returns if all are allowed; raises AwsError AccessDenied for the first that is not."""
        for demand in demands:
            decision = self.decide(caller, principal, demand)
            if not decision.allowed:
                raise refusal(principal, demand, decision)

    def require_of_role(self, caller: Caller, *demands: Demand) -> None:
        """The same of the execution role in whose name a service asks; of no role all is allowed."""
        if caller.role:
            self.require(caller, principals.of_role(caller, caller.role, SESSION), demands)

    def decide(self, caller: Caller, principal: Principal, demand: Demand) -> Decision:
        """Whether it is allowed."""
        rights = Rights(principal.identity, principal.bounds, _of_resource(demand))
        named = _with_path(caller, demand)
        full = replace(named, context={**_everywhere(caller), **principal.context, **named.context})
        if _asks_tags(rights):
            full = replace(full, context={**full.context, **self._tags(caller, full.resource)})
        decision = policies.decide(rights, full, principal.who)
        self._ledger.note(principal.who.role or principal.who.arn, full, decision)
        return decision

    def require_assuming(self, caller: Caller, principal: Principal, call: Call) -> None:
        """AssumeRole: the role's trust policy must let the caller, and the caller's own policies as well,
        unless the trust policy names the caller itself. Raises AwsError AccessDenied.
        """
        arn = str(call.parameters.get("RoleArn", ""))
        context = {**_everywhere(caller), **principal.context}
        given = {"sts:externalid": "ExternalId", "sts:rolesessionname": "RoleSessionName"}
        context |= {key: (str(call.parameters[n]),) for key, n in given.items() if n in call.parameters}
        demand = Demand("sts:AssumeRole", arn, context)
        account = arn.split(":")[4] if arn.count(":") >= 5 else caller.account
        trusted = _trusted(replace(caller, account=account), demand, principal.who)
        own = policies.decide(Rights(principal.identity, principal.bounds), demand, principal.who)
        allowed = trusted is not None and (own.allowed or policies.names_itself(trusted, principal.who))
        why = "" if trusted else "because the role's trust policy does not allow it"
        decision = Decision(allowed, why if not allowed else "", own.by)
        self._ledger.note(principal.who.role or principal.who.arn, demand, decision)
        if not allowed:
            # AWS says no more of it than this.
            raise refusal(principal, demand, Decision(False, ""))

    def trusts(self, caller: Caller, role_arn: str, service: str, source: str) -> bool:
        """Whether the role is there and lets that service assume it for `source`, the ARN of a resource."""
        about = {"aws:sourceaccount": (caller.account,), "aws:principalisawsservice": ("true",)}
        if source:
            about["aws:sourcearn"] = (source,)
        demand = Demand("sts:AssumeRole", role_arn, {**_everywhere(caller), **about})
        # A role of another account cannot be handed over. Source: id_roles_use_passrole.
        return _trusted(caller, demand, Who(service=service)) is not None

    def told(self, caller: Caller) -> dict[str, Any]:
        """All uses so far, and the policies of every role, for `report`."""
        roles = [
            {"arn": arn, "statements": [vars(one) for policy in held for one in policy]}
            for arn, held in principals.roles(caller).items()
        ]
        return {"uses": self._ledger.as_json(), "roles": roles}

    def _tags(self, caller: Caller, arn: str) -> Context:
        service = arn.split(":")[2] if arn.count(":") >= 5 else ""
        tags = {name.lower(): (value,) for name, value in self._tags_of(caller, arn).items()}
        keys = (f"aws:resourcetag/{name}" for name in tags)
        own = (f"{service}:resourcetag/{name}" for name in tags)
        return dict(zip((*keys, *own), (*tags.values(), *tags.values()), strict=True))


def refusal(principal: Principal, demand: Demand, decision: Decision) -> AwsError:
    """AWS's sentence. S3 has the resource in quotes."""
    quote = '"' if demand.action.startswith("s3:") else ""
    sentence = (
        f"User: {principal.who.arn} is not authorized to perform: {demand.action} "
        f"on resource: {quote}{demand.resource}{quote} {decision.why}"
    )
    return AwsError(403, "AccessDenied", sentence.rstrip())


def _trusted(caller: Caller, demand: Demand, who: Who) -> Statement | None:
    """The statement by which the role, if the caller's account has it, may be assumed."""
    role = principals.role_of(caller, demand.resource)
    return None if role is None else policies.trusting(principals.trust_of(role), demand, who)


def _of_resource(demand: Demand) -> tuple[policies.Policy, ...]:
    if not demand.action.startswith("s3:") or ":::" not in demand.resource:
        return ()
    return buckets.policy_of(demand.resource.partition(":::")[2].partition("/")[0])


def _with_path(caller: Caller, demand: Demand) -> Demand:
    """A call names a role without its path, which its ARN has."""
    before, role, name = demand.resource.partition(":role/")
    if not role or "/" in name or not demand.action.startswith("iam:"):
        return demand
    arn = next((one for one in principals.roles(caller) if one.rpartition("/")[2] == name), "")
    return replace(demand, resource=arn or f"{before}{role}{name}")


def _asks_tags(rights: Rights) -> bool:
    everything = (*rights.identity, *rights.bounds, *rights.resource)
    return any("resourcetag/" in repr(one.body).lower() for policy in everything for one in policy)


def _everywhere(caller: Caller) -> Context:
    """What every request has. It came over this machine's loopback, which stands for TLS."""
    now = datetime.now(UTC)
    return {
        "aws:requestedregion": (caller.region,),
        "aws:securetransport": ("true",),
        "aws:sourceip": ("127.0.0.1",),
        "aws:viaawsservice": ("false",),
        "aws:resourceaccount": (caller.account,),
        "s3:resourceaccount": (caller.account,),
        "aws:currenttime": (now.isoformat(),),
        "aws:epochtime": (str(int(now.timestamp())),),
    }
