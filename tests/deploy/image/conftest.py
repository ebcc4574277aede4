"""What must exist in an account before an image can be built there, as infra/aws and infra/gcp make it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

ACCOUNT, BUCKET = "123456789012", "slipway-tests"
REPOSITORY, PROJECT, ROLE = "slipway/serving", "slipway-slipway-tests", "slipway-image-build"
GOOGLE = "/v1/projects/slipway-tests/locations/us-central1"
# The lines that name an image in the tests' deploy.toml.
NAMED = {
    "aws": f'image = "{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"\n',
    "gcp": 'image = "us-central1-docker.pkg.dev/slipway-tests/slipway/serving:1"\n',
}


class AwsRegistry:
    """The kit's repository in ECR, and the build project."""

    def __init__(self, cloud: Any) -> None:
        self.ecr, self._codebuild = cloud.local.client("ecr"), cloud.local.client("codebuild")
        self._iam = cloud.local.client("iam")
        self.address = f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com"
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "codebuild.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = self._iam.create_role(
            RoleName=ROLE,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
        )
        rights = {
            "s3:GetObject": f"arn:aws:s3:::{BUCKET}/_builds/*",
            "logs:*": "*",
            "ecr:GetAuthorizationToken": "*",
            "ecr:*": f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/{REPOSITORY}",
        }
        allowed = [{"Effect": "Allow", "Action": one, "Resource": on} for one, on in rights.items()]
        self._iam.put_role_policy(
            RoleName=ROLE,
            PolicyName="rights",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allowed}),
        )
        self.ecr.create_repository(repositoryName=REPOSITORY, imageTagMutability="IMMUTABLE")
        self._codebuild.create_project(
            name=PROJECT,
            source={"type": "S3", "location": "slipway-tests/_builds/context.zip"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
                "computeType": "BUILD_GENERAL1_MEDIUM",
                "environmentVariables": [{"name": "REPOSITORY", "value": REPOSITORY}],
            },
            serviceRole=role["Role"]["Arn"],
        )
        self._before = set(self._all_builds())

    def tags(self) -> set[str]:
        found = self.ecr.describe_images(repositoryName=REPOSITORY)["imageDetails"]
        return {tag for image in found for tag in image["imageTags"]}

    def builds(self) -> list[dict[str, Any]]:
        ids = [one for one in self._all_builds() if one not in self._before]
        return self._codebuild.batch_get_builds(ids=ids)["builds"] if ids else []

    def _all_builds(self) -> list[str]:
        return self._codebuild.list_builds_for_project(projectName=PROJECT)["ids"]

    def state(self, build: dict[str, Any]) -> str:
        return str(build["buildStatus"])

    def stop(self, build: dict[str, Any]) -> None:
        self._codebuild.stop_build(id=build["id"])

    def without_builder(self) -> None:
        self._codebuild.delete_project(name=PROJECT)

    def close(self) -> None:
        self._codebuild.delete_project(name=PROJECT)
        self.ecr.delete_repository(repositoryName=REPOSITORY, force=True)
        self._iam.delete_role_policy(RoleName=ROLE, PolicyName="rights")
        self._iam.delete_role(RoleName=ROLE)


class GcpRegistry:
    """The kit's repository in Artifact Registry; Cloud Build needs nothing made."""

    def __init__(self, cloud: Any) -> None:
        self._place = f"{cloud.local.url}{GOOGLE}"
        self.address = "us-central1-docker.pkg.dev/slipway-tests"
        body = {"format": "DOCKER", "dockerConfig": {"immutableTags": True}}
        self._call("POST", "repositories?repositoryId=slipway", json=body)
        self._before = {build["id"] for build in self._all_builds()}

    def tags(self) -> set[str]:
        found = self._call("GET", "repositories/slipway/packages/serving/tags").get("tags", [])
        return {tag["name"].rpartition("/")[2] for tag in found}

    def builds(self) -> list[dict[str, Any]]:
        return [build for build in self._all_builds() if build["id"] not in self._before]

    def _all_builds(self) -> list[dict[str, Any]]:
        return self._call("GET", "builds").get("builds", [])

    def state(self, build: dict[str, Any]) -> str:
        return {"SUCCESS": "SUCCEEDED", "CANCELLED": "STOPPED", "FAILURE": "FAILED"}.get(
            build["status"], build["status"]
        )

    def stop(self, build: dict[str, Any]) -> None:
        self._call("POST", f"builds/{build['id']}:cancel", json={})

    def without_builder(self) -> None:
        self._call("DELETE", "repositories/slipway")

    def close(self) -> None:
        requests.delete(f"{self._place}/repositories/slipway", timeout=10)

    def _call(self, method: str, path: str, **given: Any) -> Any:
        answer = requests.request(method, f"{self._place}/{path}", timeout=10, **given)
        assert answer.status_code == 200, answer.text
        return answer.json()


@pytest.fixture
def registry(cloud: Any) -> Iterator[Any]:
    """The cloud's registry: `tags()`, `builds()` with `state(build)`, `address`."""
    made = (AwsRegistry if cloud.name == "aws" else GcpRegistry)(cloud)
    yield made
    made.close()


@pytest.fixture
def imageless(registry: Any, iris: Path, cloud: Any) -> Path:
    """iris, whose deploy.toml names no image for this cloud."""
    settings = iris / "deploy.toml"
    head, mark, rest = settings.read_text().partition(f"[{cloud.name}]\n")
    assert NAMED[cloud.name] in rest
    settings.write_text(head + mark + rest.replace(NAMED[cloud.name], "", 1))
    return iris
