"""The conditions of a statement: an operator, a key, the values that it may have. Pure.

What is not known here refuses: `Unknown` is raised, and whoever decides refuses and says so.
Source: IAM user guide, reference_policies_elements_condition_operators and
reference_policies_condition-single-vs-multi-valued-context-keys; the keys are those of the Service
Authorization Reference that the local cloud gives a value to, or knows to be absent.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.iam import patterns
from infra.local.iam.patterns import Context

Compare = Callable[[str, str, Context], bool]  # the policy's word, the request's, the request's context

# Keys that the local cloud fills in where a request has them; a request may be without any of them.
_NAMES = """
    aws:principalarn aws:principalaccount aws:principaltype aws:userid aws:username aws:principalorgid
    aws:principalisawsservice aws:principalservicename aws:requestedregion aws:resourceaccount
    aws:sourceip aws:sourcevpc aws:sourcevpce aws:securetransport aws:currenttime aws:epochtime
    aws:tagkeys aws:viaawsservice aws:calledvia aws:sourceaccount aws:sourcearn aws:sourceorgid
    aws:multifactorauthpresent aws:multifactorauthage
    iam:passedtoservice iam:associatedresourcearn iam:permissionsboundary iam:policyarn
    sts:externalid sts:rolesessionname
    sagemaker:instancetypes sagemaker:modelarn sagemaker:networkisolation sagemaker:vpcsubnets
    sagemaker:vpcsecuritygroupids sagemaker:volumekmskey sagemaker:outputkmskey sagemaker:targetmodel
    sagemaker:intercontainertrafficencryption sagemaker:serverlessmaxconcurrency
    sagemaker:serverlessmemorysize sagemaker:acceleratortypes
    s3:prefix s3:delimiter s3:max-keys s3:versionid s3:resourceaccount s3:x-amz-acl s3:x-amz-copy-source
    s3:x-amz-server-side-encryption s3:x-amz-server-side-encryption-aws-kms-key-id
    s3:x-amz-storage-class s3:if-none-match s3:if-match s3:requestobjecttagkeys
    application-autoscaling:service-namespace application-autoscaling:scalable-dimension
    iam:awsservicename cloudwatch:namespace cloudformation:rolearn cloudformation:changesetname
"""
KEYS = frozenset(_NAMES.split())
PREFIXES = (
    *("aws:requesttag/", "aws:resourcetag/", "aws:principaltag/", "sagemaker:resourcetag/"),
    *("s3:requestobjecttag/", "iam:resourcetag/", "ecr:resourcetag/", "cloudformation:resourcetag/"),
)


class Unknown(Exception):
    """An operator, a key or a value that cannot be judged here; the message names it."""


@dataclass(frozen=True)
class Operator:
    """`StringNotLike` is StringLike's comparison, negated: true where none of the values compares."""

    compare: Compare
    negated: bool = False


def hold(block: Mapping[str, Mapping[str, Any]], context: Context) -> bool:
    """Whether every condition of a statement holds. Raises Unknown."""
    # Each is looked at, so that one that is not known is told even where another does not hold.
    judged = [_holds(name, key, wanted, context) for name in block for key, wanted in block[name].items()]
    return all(judged)


def as_list(value: Any) -> list[Any]:
    """A policy's element that may stand alone or in a list."""
    return value if isinstance(value, list) else [value]


def _holds(name: str, key: str, wanted: Any, context: Context) -> bool:
    _must_be_known(key)
    values = [_text(one) for one in as_list(wanted)]
    for variable in {one for value in values for one in patterns.variables(value)}:
        _must_be_known(variable)
    found = context.get(key.lower(), ())
    qualifier, _, plain = name.rpartition(":")
    if plain == "Null":
        return (not found) == (values[0].lower() == "true")
    if qualifier not in ("", "ForAllValues", "ForAnyValue"):
        raise Unknown(f"the condition operator {name}")
    chosen = _operator(plain.removesuffix("IfExists"), name)
    if not found:
        if qualifier == "ForAnyValue":
            return plain.endswith("IfExists")
        return chosen.negated or qualifier == "ForAllValues" or plain.endswith("IfExists")
    return _compared(chosen, qualifier, values, found, context)


def _compared(
    chosen: Operator, qualifier: str, wanted: Sequence[str], found: Sequence[str], context: Context
) -> bool:
    meets = [any(chosen.compare(one, value, context) for one in wanted) for value in found]
    if chosen.negated:
        # Without a qualifier a key of several values is none of those wanted only if no value is.
        return any(not one for one in meets) if qualifier == "ForAnyValue" else not any(meets)
    return all(meets) if qualifier == "ForAllValues" else any(meets)


def _must_be_known(key: str) -> None:
    lower = key.lower()
    if lower not in KEYS and not lower.startswith(PREFIXES):
        raise Unknown(f"the condition key {key}")


def _operator(plain: str, name: str) -> Operator:
    found = OPERATORS.get(plain)
    if found is None:
        raise Unknown(f"the condition operator {name}")
    return found


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _ignoring_case(wanted: str, found: str, context: Context) -> bool:
    text = patterns.filled(wanted, context)
    return text is not None and text.lower() == found.lower()


def _numbers(compare: Callable[[Any, Any], bool]) -> Compare:
    def judge(wanted: str, found: str, context: Context) -> bool:
        try:
            return compare(float(found), float(wanted))
        except ValueError as error:
            raise Unknown(f"the number {wanted!r} or {found!r}") from error

    return judge


def _dates(compare: Callable[[Any, Any], bool]) -> Compare:
    return lambda wanted, found, context: compare(_moment(found), _moment(wanted))


def _moment(text: str) -> datetime:
    try:
        if text.replace(".", "", 1).isdigit():
            return datetime.fromtimestamp(float(text), UTC)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Unknown(f"the time {text!r}") from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _in_network(wanted: str, found: str, context: Context) -> bool:
    try:
        return ipaddress.ip_address(found) in ipaddress.ip_network(wanted, strict=False)
    except ValueError as error:
        raise Unknown(f"the address {wanted!r} or {found!r}") from error


OPERATORS: Mapping[str, Operator] = {
    "StringEquals": Operator(patterns.equal),
    "StringNotEquals": Operator(patterns.equal, negated=True),
    "StringEqualsIgnoreCase": Operator(_ignoring_case),
    "StringNotEqualsIgnoreCase": Operator(_ignoring_case, negated=True),
    "StringLike": Operator(patterns.like),
    "StringNotLike": Operator(patterns.like, negated=True),
    # Both forms take wildcards. Source: reference_policies_elements_condition_operators, ARN operators.
    "ArnEquals": Operator(patterns.like_arn),
    "ArnLike": Operator(patterns.like_arn),
    "ArnNotEquals": Operator(patterns.like_arn, negated=True),
    "ArnNotLike": Operator(patterns.like_arn, negated=True),
    "Bool": Operator(_ignoring_case),
    "NumericEquals": Operator(_numbers(operator.eq)),
    "NumericNotEquals": Operator(_numbers(operator.eq), negated=True),
    "NumericLessThan": Operator(_numbers(operator.lt)),
    "NumericLessThanEquals": Operator(_numbers(operator.le)),
    "NumericGreaterThan": Operator(_numbers(operator.gt)),
    "NumericGreaterThanEquals": Operator(_numbers(operator.ge)),
    "DateEquals": Operator(_dates(operator.eq)),
    "DateNotEquals": Operator(_dates(operator.eq), negated=True),
    "DateLessThan": Operator(_dates(operator.lt)),
    "DateLessThanEquals": Operator(_dates(operator.le)),
    "DateGreaterThan": Operator(_dates(operator.gt)),
    "DateGreaterThanEquals": Operator(_dates(operator.ge)),
    "IpAddress": Operator(_in_network),
    "NotIpAddress": Operator(_in_network, negated=True),
}
