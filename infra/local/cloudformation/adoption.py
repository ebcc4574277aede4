"""What `make` put into the account beforehand is taken over by the stack that is to make it.

A deployment needs a bucket and a role, and the local cloud makes both for whoever has not run `make infra`.
Run later, that would find its resources there, made by nobody.
"""

from __future__ import annotations

from infra.local.cloudformation.resources import iam
from infra.local.cloudformation.stacks import Stack

BUCKET, ROLE = "AWS::S3::Bucket", "AWS::IAM::Role"


class Adoption:
    """Whether a resource was only made for want of a stack; `provisioned` holds their kinds and names."""

    def __init__(self, provisioned: set[tuple[str, str]]) -> None:
        self._provisioned = provisioned

    def __call__(self, stack: Stack, kind: str, name: str) -> bool:
        """True for a bucket, which the stack is to keep with all that is in it. A role is made anew."""
        account = stack.account.caller.account
        if (kind, f"{account}/{name}") not in self._provisioned:
            return False
        self._provisioned.discard((kind, f"{account}/{name}"))
        if kind == ROLE:
            iam.ROLE.delete(stack.account, name, {})
        return kind == BUCKET
