"""Buckets' own policies: moto keeps them, and judges by rules of its own; here they are as all others."""

from __future__ import annotations

from typing import Any

from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, s3_backends

from infra.local.iam import policies
from infra.local.iam.policies import Demand, Policy, Who


def judge_policies_here() -> None:
    """From now on moto asks nothing of a bucket's policy, but whether it lets an unsigned request read.

    moto takes every condition for fulfilled, so a policy that denies requests without TLS would deny all.
    """
    bucket_class: Any = FakeBucket
    bucket_class.get_permission = _for_anybody


def policy_of(bucket: str) -> tuple[Policy, ...]:
    """The policy of that bucket, whoever has it; empty where it has none, or is not there."""
    place = s3_backends.bucket_accounts.get(bucket)
    if place is None:
        return ()
    partition, account = place
    record = s3_backends[account][partition].buckets.get(bucket)
    document = record.policy if record is not None else None
    return (policies.parse("bucket policy", document.decode()),) if document else ()


def _for_anybody(bucket: Any, action: str, resource: str) -> PermissionResult:
    if not bucket.policy:
        return PermissionResult.NEUTRAL
    rights = policies.Rights(resource=(policies.parse("bucket policy", bucket.policy.decode()),))
    decision = policies.decide(rights, Demand(action, resource, {"aws:securetransport": ("true",)}), Who())
    return PermissionResult.PERMITTED if decision.allowed else PermissionResult.NEUTRAL
