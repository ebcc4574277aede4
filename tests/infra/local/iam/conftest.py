"""Roles and users with given statements in the tests' local cloud, and clients in their names."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest
from botocore.config import Config

ACCOUNT = "123456789012"
WHOEVER = {
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
    "Action": "sts:AssumeRole",
}
_numbers = itertools.count()


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass
class Acting:
    """Somebody with an access key: `client(service)` speaks in their name."""

    cloud: Any
    name: str
    keys: dict[str, str]
    clients: dict[str, Any] = field(default_factory=dict)

    def client(self, service: str) -> Any:
        if service not in self.clients:
            self.clients[service] = boto3.Session().client(
                service,
                region_name="us-east-1",
                endpoint_url=self.cloud.url,
                config=Config(retries={"total_max_attempts": 1}),
                **self.keys,
            )
        return self.clients[service]


@pytest.fixture
def iam(local_cloud: Any) -> Any:
    return local_cloud.client("iam")


@pytest.fixture
def role(iam: Any) -> Callable[..., str]:
    """Makes a role of these statements, which the account may assume; its ARN."""

    def make(*statements: dict[str, Any], trust: dict[str, Any] = WHOEVER) -> str:
        name = f"acting-{next(_numbers)}"
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=document(trust))["Role"]["Arn"]
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=document(*statements))
        return made

    return make


@pytest.fixture
def assumed(local_cloud: Any) -> Any:
    """A session of a role, by its ARN; what `AssumeRole` takes besides may be given."""
    made = []

    def assume(arn: str, **given: Any) -> Acting:
        answer = local_cloud.client("sts").assume_role(RoleArn=arn, RoleSessionName="me", **given)
        made.append(Acting(local_cloud, arn.rpartition("/")[2], keys_of(answer["Credentials"])))
        return made[-1]

    yield assume
    for one in made:
        for client in one.clients.values():
            client.close()


@pytest.fixture
def acting(role: Callable[..., str], assumed: Callable[..., Acting]) -> Callable[..., Acting]:
    """A session of a new role of these statements."""
    return lambda *statements: assumed(role(*statements))


def keys_of(credentials: dict[str, Any]) -> dict[str, str]:
    return {
        "aws_access_key_id": credentials["AccessKeyId"],
        "aws_secret_access_key": credentials["SecretAccessKey"],
        **({"aws_session_token": credentials["SessionToken"]} if "SessionToken" in credentials else {}),
    }
