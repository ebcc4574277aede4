"""CodeBuild and ECR through boto3: a build reads its source, tells its phases, and puts an image or fails."""

from __future__ import annotations

import base64
import io
import json
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError
from roles import make_role
from waiting import until

BUCKET = "slipway-tests"
FILES = {"Dockerfile": "FROM base\nCOPY a /a\n", "a": "x", "build-arguments": "--platform=linux/arm64\n"}
ALLOWED = {"s3:GetObject": f"arn:aws:s3:::{BUCKET}/*", "logs:*": "*", "ecr:*": "*"}


@pytest.fixture(scope="module")
def account(local_cloud: Any) -> Iterator[Any]:
    """An account with a repository `images` and a build project `images`."""
    iam, ecr, codebuild = (local_cloud.client(name) for name in ("iam", "ecr", "codebuild"))
    role = make_role(iam, "image-builder", "codebuild.amazonaws.com")
    rights = [{"Effect": "Allow", "Action": one, "Resource": on} for one, on in ALLOWED.items()]
    policy = json.dumps({"Version": "2012-10-17", "Statement": rights})
    iam.put_role_policy(RoleName="image-builder", PolicyName="builds", PolicyDocument=policy)
    ecr.create_repository(repositoryName="images", imageTagMutability="IMMUTABLE")
    codebuild.create_project(**project("images", role))
    yield local_cloud
    codebuild.delete_project(name="images")
    ecr.delete_repository(repositoryName="images", force=True)


def project(name: str, role: str) -> dict[str, Any]:
    return {
        "name": name,
        "source": {"type": "S3", "location": f"{BUCKET}/source.zip"},
        "artifacts": {"type": "NO_ARTIFACTS"},
        "environment": {
            "type": "LINUX_CONTAINER",
            "image": "aws/codebuild/amazonlinux-x86_64-standard:5.0",
            "computeType": "BUILD_GENERAL1_MEDIUM",
            "environmentVariables": [{"name": "REPOSITORY", "value": "images"}],
        },
        "serviceRole": role,
        "logsConfig": {"cloudWatchLogs": {"status": "ENABLED", "groupName": "/builds"}},
    }


@pytest.fixture
def build(account: Any) -> Callable[..., dict[str, Any]]:
    """Starts a build of these files and waits for its end."""
    codebuild = account.client("codebuild")

    def run(files: dict[str, str], tag: str, key: str = "source.zip") -> dict[str, Any]:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as writer:
            for name, text in files.items():
                writer.writestr(name, text)
        account.client("s3").put_object(Bucket=BUCKET, Key="source.zip", Body=archive.getvalue())
        started = codebuild.start_build(
            projectName="images",
            sourceTypeOverride="S3",
            sourceLocationOverride=f"{BUCKET}/{key}",
            environmentVariablesOverride=[{"name": "TAG", "value": tag}],
        )["build"]
        found: dict[str, Any] = {}

        def ended() -> bool:
            (look,) = codebuild.batch_get_builds(ids=[started["id"]])["builds"]
            found.update(look)
            return bool(look["buildComplete"])

        until(ended, 20)
        return found

    return run


def test_a_build_tells_its_phases_and_its_log(account: Any, build: Callable[..., dict[str, Any]]) -> None:
    built = build(FILES, "told")
    assert built["buildStatus"] == "SUCCEEDED"
    assert [phase["phaseType"] for phase in built["phases"]] == [
        *("SUBMITTED", "QUEUED", "PROVISIONING", "DOWNLOAD_SOURCE", "INSTALL", "PRE_BUILD", "BUILD"),
        *("POST_BUILD", "UPLOAD_ARTIFACTS", "FINALIZING", "COMPLETED"),
    ]
    where = {"logGroupName": "/builds", "logStreamNames": [built["logs"]["streamName"]]}
    printed = [event["message"] for event in account.client("logs").filter_log_events(**where)["events"]]
    assert any("COPY a /a" in line for line in printed)
    assert any(line.startswith("told: digest: sha256:") for line in printed)


def test_the_image_tells_its_processor_as_ecr_does(
    account: Any, build: Callable[..., dict[str, Any]]
) -> None:
    build({**FILES, "a": "another"}, "processor")
    ecr = account.client("ecr")
    (image,) = ecr.batch_get_image(repositoryName="images", imageIds=[{"imageTag": "processor"}])["images"]
    digest = json.loads(image["imageManifest"])["config"]["digest"]
    layer = ecr.get_download_url_for_layer(repositoryName="images", layerDigest=digest)
    assert layer["downloadUrl"].startswith(account.url)
    with urllib.request.urlopen(layer["downloadUrl"], timeout=10) as body:
        assert json.load(body)["architecture"] == "arm64"
    with pytest.raises(ClientError, match="LayersNotFoundException"):
        ecr.get_download_url_for_layer(repositoryName="images", layerDigest="sha256:" + "0" * 64)


def test_no_tool_is_sent_to_a_real_registry(account: Any) -> None:
    (given,) = account.client("ecr").get_authorization_token()["authorizationData"]
    assert given["proxyEndpoint"] == account.url
    assert base64.b64decode(given["authorizationToken"]).startswith(b"AWS:")


@pytest.mark.parametrize(
    ("files", "key", "phase", "said"),
    [
        (FILES, "missing.zip", "DOWNLOAD_SOURCE", "NoSuchKey"),
        ({**FILES, "Dockerfile": "FROM base\nCOPY b /b\n"}, "source.zip", "BUILD", '"/b": not found'),
        ({**FILES, "build-arguments": "--privileged\n"}, "source.zip", "BUILD", "unknown flag: --privileged"),
    ],
)
def test_a_build_that_fails_says_in_which_phase_and_why(
    build: Callable[..., dict[str, Any]], files: dict[str, str], key: str, phase: str, said: str
) -> None:
    built = build(files, "never", key)
    assert built["buildStatus"] == "FAILED"
    (failed,) = (one for one in built["phases"] if one.get("phaseStatus") == "FAILED")
    assert failed["phaseType"] == phase
    assert said in failed["contexts"][0]["message"]


def test_a_tag_that_is_there_is_not_another_image_s(build: Callable[..., dict[str, Any]]) -> None:
    assert build(FILES, "taken")["buildStatus"] == "SUCCEEDED"
    again = build({**FILES, "a": "y"}, "taken")
    assert again["buildStatus"] == "FAILED"
    assert "already exists" in str(again["phases"])


def test_what_is_not_there_is_refused(account: Any) -> None:
    codebuild = account.client("codebuild")
    with pytest.raises(codebuild.exceptions.ResourceNotFoundException, match="Project cannot be found"):
        codebuild.start_build(projectName="missing")
    with pytest.raises(codebuild.exceptions.ResourceNotFoundException):
        codebuild.stop_build(id="images:missing")
    assert codebuild.batch_get_builds(ids=["images:missing"])["buildsNotFound"] == ["images:missing"]


def test_a_role_that_codebuild_may_not_take_on_builds_nothing(account: Any) -> None:
    codebuild = account.client("codebuild")
    role = make_role(account.client("iam"), "nobody-s-builder")
    codebuild.create_project(**project("others", role))
    with pytest.raises(
        codebuild.exceptions.InvalidInputException, match="not authorized to perform: sts:AssumeRole"
    ):
        codebuild.start_build(projectName="others")
    codebuild.delete_project(name="others")
