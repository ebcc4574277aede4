"""A deployed handler whose predict is a generator, and each cloud's own SDK to ask it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import clouds
from deploy.__main__ import main

# An instance says what is to be yielded: numbers, or parts that each wait for a file, the first excepted.
HANDLER = """\
import time
from pathlib import Path


class Handler:
    def load(self, model_dir):
        pass

    def predict(self, inputs):
        for one in inputs:
            if isinstance(one, int | float):
                yield from range(int(one))
            elif "late" in one:
                yield "first"
                self._wait_for(Path(one["late"], "1"))
                raise RuntimeError("after the first piece")
            else:
                yield from self._gated(Path(one["gates"]), one.get("parts", 2))

    def _gated(self, gates, parts):
        try:
            for number in range(parts):
                if number:
                    self._wait_for(gates / str(number))
                yield f"part {number}"
            while not (gates / "end").exists():
                time.sleep(0.01)
                yield "more"
        finally:
            (gates / "closed").touch()

    def _wait_for(self, gate):
        while not gate.exists():
            time.sleep(0.01)
"""


@dataclass(frozen=True)
class Deployed:
    """The project, on an endpoint of one cloud."""

    place: Path
    cloud: Any

    def run(self, verb: str, *options: str) -> int:
        """A verb's exit status."""
        return main([verb, "--project", str(self.place), "--cloud", self.cloud.name, *options])

    def lines(self, instances: Any, **headers: str) -> Iterator[bytes]:
        """The lines of a streamed answer, by the cloud's SDK, as they come."""
        ask = {"aws": self._by_boto3, "gcp": self._by_googles_sdk}[self.cloud.name]
        return ask(json.dumps(instances).encode(), headers)

    def whole(self, instances: list[Any]) -> Any:
        """The predictions, by the cloud's usual call, which streams nothing."""
        if self.cloud.name == "gcp":
            from google.cloud import aiplatform

            return aiplatform.Endpoint(self.place.name).predict(instances=instances).predictions
        answer = self.cloud.local.client("sagemaker-runtime").invoke_endpoint(
            EndpointName=self.place.name,
            Body=json.dumps({"instances": instances}),
            ContentType="application/json",
        )
        return json.loads(answer["Body"].read())["predictions"]

    def _by_boto3(self, body: bytes, headers: dict[str, str]) -> Iterator[bytes]:
        runtime = self.cloud.local.client("sagemaker-runtime")
        answer = runtime.invoke_endpoint_with_response_stream(
            EndpointName=self.place.name, Body=body, ContentType="application/json", **headers
        )
        with closing(answer["Body"]) as events:
            for event in events:
                yield from event["PayloadPart"]["Bytes"].splitlines()

    def _by_googles_sdk(self, body: bytes, headers: dict[str, str]) -> Iterator[bytes]:
        from google.cloud import aiplatform

        endpoint = aiplatform.Endpoint(self.place.name)
        return endpoint.stream_raw_predict(body, {"Content-Type": "application/json", **headers})


@contextlib.contextmanager
def deployed(cloud: Any, place: Path, settings: str = "") -> Iterator[Deployed]:
    """The handler deployed from that folder, and this process pointed at its cloud; destroyed in the end."""
    write(place, settings)
    with pytest.MonkeyPatch.context() as patch, _pointed(cloud):
        for name, value in cloud.local.environment.items():
            patch.setenv(name, value)
        cloud.forget()
        made = Deployed(place, cloud)
        yield made
        assert made.run("destroy", "--yes") == 0
        cloud.forget()


def write(place: Path, settings: str = "") -> None:
    """The project."""
    for folder in ("inference", "training", "build/model"):
        (place / folder).mkdir(parents=True)
    (place / "deploy.toml").write_text(
        f"{clouds.DEPLOY_TOML.format(name=place.name)}{settings}\n[serving]\nworkers = 1\n"
    )
    (place / "inference/handler.py").write_text(HANDLER)
    (place / "inference/requirements.txt").write_text("")
    (place / "inference/samples.jsonl").write_text("3\n0\n")
    (place / "build/model/weights.txt").write_text("1")


@contextlib.contextmanager
def _pointed(cloud: Any) -> Iterator[None]:
    """Google's SDK, which keeps in the process where it is pointed to."""
    if cloud.name != "gcp":
        yield
        return
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import aiplatform
    from google.cloud.aiplatform import initializer

    kept = vars(initializer.global_config)
    before = dict(kept)
    aiplatform.init(
        project="slipway-tests",
        location="us-central1",
        credentials=AnonymousCredentials(),
        api_endpoint=cloud.local.url,
        api_transport="rest",
    )
    yield
    kept.clear()
    kept.update(before)
