"""How long a person waits for CLOUD=gcp, and what the local Vertex AI adds to a prediction.

As in bench.verbs every figure is taken beside its own yardstick in the same run: a deploy beside the import
of Google's SDK, which every verb must do; a prediction beside the same one posted to the container itself.
"""

import argparse
import http.client
import json
import os
import shutil
import ssl
import tempfile
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bench.verbs import ROOT, Figure, container, local_cloud, median, requests_in_turn, run, start_figures

SDK = "from google.cloud import aiplatform_v1, storage"  # what a verb imports of it
GOOGLE_PROJECT, REGION = "slipway-bench", "us-central1"
GCP = f"""\
name = "{{name}}"

[gcp]
project = "{GOOGLE_PROJECT}"
region = "{REGION}"
bucket = "slipway-bench-models"
image = "{REGION}-docker.pkg.dev/{GOOGLE_PROJECT}/slipway/serving:1"
machine_type = "n2-standard-2"
endpoint = "{{kind}}"
"""
KINDS = ("dedicated", "shared")


@dataclass(frozen=True)
class Caller:
    """A connection that is kept, and what is posted on it."""

    connection: http.client.HTTPConnection
    path: str
    body: bytes

    def __call__(self) -> None:
        self.connection.request("POST", self.path, self.body, {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{self.path} answered {answer.status}: {said.decode()}")


def projects_in(scratch: Path, source: Path) -> dict[str, Path]:
    """A copy of the project for each kind of endpoint."""
    name = tomllib.loads((source / "deploy.toml").read_text())["name"]
    made = {}
    for kind in KINDS:
        made[kind] = scratch / kind
        for part in ("inference", "build/model"):
            ignored = shutil.ignore_patterns("serving", "__pycache__")
            shutil.copytree(source / part, made[kind] / part, ignore=ignored)
        (made[kind] / "deploy.toml").write_text(GCP.format(name=f"{name}-{kind}", kind=kind))
    return made


def deploy(project: Path, environment: dict[str, str]) -> None:
    run(
        "-m",
        "deploy",
        "deploy-endpoint",
        "--cloud",
        "gcp",
        "--project",
        str(project),
        environment=environment,
    )


def deploy_figures(project: Path, environment: dict[str, str], times: int) -> list[Figure]:
    def deploy_changed() -> None:
        with (project / "inference" / "handler.py").open("a") as handler:
            handler.write(f"# {time.time_ns()}\n")
        deploy(project, environment)

    imported = median(lambda: run("-c", SDK, environment=environment), times)
    unchanged = median(lambda: deploy(project, environment), times)
    changed = median(deploy_changed, times)
    beyond = f"{changed - imported:.2f} s beyond the import; promised under 6 s"
    return [
        Figure("unchanged redeploy, gcp", unchanged, "import Google's SDK", imported, ""),
        Figure(
            "changed handler to an answered request, gcp", changed, "import Google's SDK", imported, beyond
        ),
    ]


def endpoint_of(project: Path, environment: dict[str, str]) -> tuple[str, str]:
    """Where the project's endpoint takes predictions: an address, and a path there."""
    name = tomllib.loads((project / "deploy.toml").read_text())["name"]
    path = f"/v1/projects/{GOOGLE_PROJECT}/locations/{REGION}/endpoints/{name}"
    url = environment["STORAGE_EMULATOR_HOST"]
    asked = http.client.HTTPConnection(urlsplit(url).netloc)
    asked.request("GET", path)
    dns = json.loads(asked.getresponse().read()).get("dedicatedEndpointDns")
    asked.close()
    return (f"https://{dns}" if dns else url), path


def caller(project: Path, environment: dict[str, str], body: bytes) -> Caller:
    url, path = endpoint_of(project, environment)
    parts = urlsplit(url)
    trusted = ssl.create_default_context(cafile=environment["REQUESTS_CA_BUNDLE"])
    connection = (
        http.client.HTTPSConnection(parts.netloc, context=trusted)
        if parts.scheme == "https"
        else http.client.HTTPConnection(parts.netloc)
    )
    return Caller(connection, f"{path}:predict", body)


def sdk_caller(project: Path, environment: dict[str, str], instances: list[Any]) -> Callable[[], object]:
    """The same through google-cloud-aiplatform, in this process."""
    from google.auth import credentials
    from google.cloud import aiplatform

    nobody: Any = credentials.AnonymousCredentials  # it has no types
    os.environ["REQUESTS_CA_BUNDLE"] = environment["REQUESTS_CA_BUNDLE"]
    aiplatform.init(
        project=GOOGLE_PROJECT,
        location=REGION,
        credentials=nobody(),
        api_endpoint=environment["STORAGE_EMULATOR_HOST"],
        api_transport="rest",
    )
    name = tomllib.loads((project / "deploy.toml").read_text())["name"]
    endpoint = aiplatform.Endpoint(name)
    return lambda: endpoint.predict(instances=instances)


def prediction_figures(projects: dict[str, Path], environment: dict[str, str], times: int) -> list[Figure]:
    sample = (projects["dedicated"] / "inference" / "samples.jsonl").read_bytes().splitlines()[0]
    body = b'{"instances": [%s]}' % sample
    archive = projects["dedicated"] / "build" / "model.tar.gz"
    with container(archive, projects["dedicated"] / "container") as port:
        bare = Caller(http.client.HTTPConnection("127.0.0.1", port), "/invocations", body)
        calls: list[Callable[[], object]] = [bare]
        calls += [caller(projects[kind], environment, body) for kind in KINDS]
        calls += [sdk_caller(projects[kind], environment, [json.loads(sample)]) for kind in KINDS]
        requests_in_turn(calls, 50)
        direct, *through = requests_in_turn(calls, times)
    words = [f"predict, {kind} endpoint, by hand" for kind in KINDS]
    words += [f"predict, {kind} endpoint, by the SDK" for kind in KINDS]
    return [
        Figure(what, seconds, "POST to the container", direct, f"adds {(seconds - direct) * 1000:.2f} ms")
        for what, seconds in zip(words, through, strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.vertex", description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT, help="a project that is trained (the example)")
    parser.add_argument("--times", type=int, default=5, help="runs of each verb (default 5)")
    parser.add_argument("--requests", type=int, default=500, help="requests of each kind (default 500)")
    options = parser.parse_args()
    if not (options.project / "build" / "model").is_dir():
        raise SystemExit(f"{options.project}/build/model is missing: run `make train` first")
    figures = start_figures(options.times * 2)
    with tempfile.TemporaryDirectory() as scratch:
        projects = projects_in(Path(scratch), options.project)
        with local_cloud(projects["dedicated"], Path(scratch, "home")) as environment:
            for project in projects.values():
                deploy(project, environment)
            figures += deploy_figures(projects["dedicated"], environment, options.times)
            figures += prediction_figures(projects, environment, options.requests)
    print(*figures, sep="\n")
    print("load average", *(f"{one:.1f}" for one in os.getloadavg()))


if __name__ == "__main__":
    main()
