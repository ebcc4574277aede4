"""Both clouds behind one interface, so that what must hold on both is one test: `cloud` in a fixture.

    def test_a_deploy_answers(cloud, iris, deploy, asked):    # runs twice: [aws] and [gcp]
        assert deploy(iris) == 0
        assert asked(iris) == 2

`clouds.aws` and `clouds.gcp` are the two. They reach the local cloud through clients of their own, so nothing
that a test looks up is counted among the calls of the verb that it tests.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

STRANGE = "0123456789ab"  # the digest in the name of a model that is nobody's
NAMES = ("aws", "gcp")
# For a deploy.toml that has [aws] already: the names that Gcp has.
GCP_SECTION = """\
[gcp]
project = "slipway-tests"
region = "us-central1"
bucket = "slipway-tests-gcp"
image = "us-central1-docker.pkg.dev/slipway-tests/slipway/serving:1"
machine_type = "n2-standard-2"

"""
# A whole one for both clouds, for a deployment of any name: `format` puts it in.
DEPLOY_TOML = f"""\
name = "{{name}}"

[aws]
region = "us-east-1"
bucket = "slipway-tests"
role = "arn:aws:iam::123456789012:role/slipway-execution"
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
instance_type = "ml.m7i.large"

{GCP_SECTION}"""


class Storage(Protocol):
    """Objects, by URI: `s3://bucket/key` on AWS, `gs://bucket/key` on Google Cloud."""

    def put(self, uri: str, body: bytes | str) -> None:
        """Make the object, or make it anew."""

    def get(self, uri: str) -> bytes:
        """The object's bytes. Raises FileNotFoundError."""

    def list(self, uri: str) -> list[str]:
        """The URIs of all objects that begin so, sorted."""

    def remove(self, uri: str) -> None:
        """Delete all objects that begin so."""


class Cloud(Protocol):
    """The account of the tests in the local cloud, and what a test asks of it."""

    name: str  # what --cloud says, and the section of deploy.toml: "aws" or "gcp"
    bucket: str  # in deploy.toml; it is there
    kinds: tuple[str, ...]  # what a first deploy makes, one of each, in this order
    bucket_of_others: str  # is there, too, and belongs to somebody else
    machines: tuple[str, str]  # types of machine: that of deploy.toml, and another
    storage: Storage
    local: Any  # the LocalCloud of tests/conftest.py: .url, .port, .home, .shell (a process's environment)

    def uri(self, key: str = "") -> str:
        """The URI of that key in the tests' bucket."""

    def held(self, name: str) -> set[str]:
        """What the account holds of a deployment, as "kind name": archives, models, the endpoint, objects."""

    def asked(self, name: str, body: str = "1") -> Any:
        """What the endpoint answers to one line of JSON Lines, as JSON (2, not "2")."""

    def machine(self, name: str) -> str:
        """The type of machine that the endpoint is on."""

    def give(self, name: str, owner: str) -> None:
        """Have the endpoint belong to that deployment by its tag or label; to none by ""."""

    def add_model(self, like: str) -> str:
        """Make a model that nobody's tag or label is on, named as a version of that deployment; its name."""

    def delete_model(self, model: str) -> None:
        """Delete it, as somebody else would."""

    def delete_endpoint(self, name: str) -> None:
        """Delete it, as somebody else would; return when it is gone."""

    def forget(self) -> None:
        """The next verb makes its clients anew, as a new process would; what listened hears nothing more."""

    def on_call(self, heard: Callable[[str], None]) -> None:
        """Have `heard` called when a call of the verbs' own clients was answered, until `forget`.

        It gets the operation: boto3's name (`CreateModel`) on AWS, method and collection (`POST
        models:upload`) on Google Cloud. What it raises, the verb gets: Ctrl-C is
        `signal.raise_signal(signal.SIGINT)`.
        """

    def refuse(self, operation: str, status: int) -> None:
        """From now on answer that operation with an error, which says "no", until `forget`.

        401 is for credentials that are not accepted, 403 a missing permission, 429 for too many calls, 500.
        """

    def ignore(self, operation: str) -> None:
        """From now on answer that deletion as done, and do nothing, until `forget`."""

    def without_credentials(self, patch: Any) -> None:
        """Have none, until the end of the test; `patch` is pytest's monkeypatch."""


def for_both(place: Path) -> Path:
    """Give a project that is for AWS [gcp], too, before [training], which stays the last; the project."""
    head, training, tail = (place / "deploy.toml").read_text().partition("[training]")
    (place / "deploy.toml").write_text(head + GCP_SECTION + training + tail)
    return place


def named(place: Path | str) -> str:
    """The name of a deployment: a project's folder has it, too."""
    return place if isinstance(place, str) else place.name


def stored(cloud: Any, prefix: str) -> dict[str, str]:
    """The objects under a prefix of the tests' bucket, by the rest of their keys."""
    uri = cloud.uri(prefix)
    return {one[len(uri) :]: cloud.storage.get(one).decode() for one in cloud.storage.list(uri)}
