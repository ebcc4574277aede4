"""How long a person waits for a verb, and what the local cloud adds to a request.

Every figure is taken beside its own yardstick in the same run, so that the ratio means something
on a machine of another speed: a verb beside starting Python, a deploy beside importing torch,
a request through the local cloud beside the same request posted to the container itself.
"""

import argparse
import http.client
import json
import os
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.local import archives

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Figure:
    """A median in seconds beside its yardstick's, and the bound that the product promises."""

    what: str
    seconds: float
    yardstick: str
    yardstick_seconds: float
    promised: str

    def __str__(self) -> str:
        ratio = self.seconds / self.yardstick_seconds
        return (
            f"{self.what:44} {self.seconds * 1000:9.1f} ms {ratio:7.2f} x {self.yardstick:22} {self.promised}"
        )


def median(action: Callable[[], object], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def run(*arguments: str, environment: dict[str, str] | None = None) -> None:
    ended = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    if ended.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{ended.stdout}\n{ended.stderr}")


@contextmanager
def local_cloud(project: Path, home: Path) -> Iterator[dict[str, str]]:
    """A local cloud of the bench's own; yields the environment that points an SDK at it."""
    environment = {**os.environ, "SLIPWAY_LOCAL_HOME": str(home), "SLIPWAY_LOCAL_PORT": "0"}
    command = [sys.executable, "-m", "infra.local"]
    try:
        exports = subprocess.run(
            [*command, "env", "--project", str(project)],
            cwd=ROOT,
            env=environment,
            check=True,
            text=True,
            stdout=subprocess.PIPE,
        ).stdout
        pairs = (word.partition("=") for word in shlex.split(exports, comments=True) if "=" in word)
        yield {**environment, **{name: value for name, _, value in pairs}}
    finally:
        subprocess.run([*command, "down"], cwd=ROOT, env=environment, check=True, capture_output=True)


@contextmanager
def container(archive: Path, home: Path) -> Iterator[int]:
    """The serving runtime on the same archive, with nothing in front of it; yields its port."""
    model = home / "opt" / "ml" / "model"
    model.mkdir(parents=True)
    with archive.open("rb") as stream:
        archives.unpack(stream, model, archives.Limits())
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    own = {
        "SAGEMAKER_BASE_DIR": str(model.parent),
        "SAGEMAKER_BIND_TO_PORT": str(port),
        "PYTHONPATH": str(ROOT),
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "inference.serving", "serve"],
        env={"PATH": os.environ["PATH"], **own},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until_healthy(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(30)


def wait_until_healthy(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if post(http.client.HTTPConnection("127.0.0.1", port, timeout=5), "GET", "/ping") == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise SystemExit("the container did not become healthy")


def post(connection: http.client.HTTPConnection, method: str, path: str, body: bytes = b"") -> int:
    connection.request(method, path, body, {"Content-Type": "application/jsonlines"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def requests_in_turn(calls: list[Callable[[], object]], times: int) -> list[float]:
    """The median of each call, made in turn, so that a change of the machine's speed meets them all."""
    taken: list[list[float]] = [[] for _ in calls]
    for _ in range(times):
        for call, seconds in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in taken]


def start_figures(times: int) -> list[Figure]:
    bare = median(lambda: run("-c", "pass"), times)
    help_ = median(lambda: run("-m", "deploy", "--help"), times)
    return [Figure("python -m deploy --help", help_, "python -c pass", bare, "under 300 ms")]


def deploy_figures(project: Path, environment: dict[str, str], times: int) -> list[Figure]:
    def deploy() -> None:
        run("-m", "deploy", "deploy-endpoint", "--project", str(project), environment=environment)

    def deploy_changed() -> None:
        with (project / "inference" / "handler.py").open("a") as handler:
            handler.write(f"# {time.time_ns()}\n")
        deploy()

    boto3 = median(
        lambda: run("-c", "import boto3; boto3.client('sagemaker')", environment=environment), times
    )
    torch = median(lambda: run("-c", "import torch"), times)
    deploy()
    return [
        Figure("unchanged redeploy", median(deploy, times), "a SageMaker client", boto3, "under 2 s"),
        Figure(
            "changed handler to an answered request",
            median(deploy_changed, times),
            "import torch",
            torch,
            "under 4 s",
        ),
    ]


def request_figures(project: Path, environment: dict[str, str], times: int) -> list[Figure]:
    import boto3

    body = (project / "inference" / "samples.jsonl").read_bytes().splitlines()[0]
    name = tomllib.loads((project / "deploy.toml").read_text())["name"]
    url = environment["AWS_ENDPOINT_URL"].removeprefix("http://")
    client = boto3.client(
        "sagemaker-runtime",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )
    with container(project / "build" / "model.tar.gz", project / "container") as port:
        bare = http.client.HTTPConnection("127.0.0.1", port)
        cloud = http.client.HTTPConnection(url)
        calls: list[Callable[[], object]] = [
            lambda: post(bare, "POST", "/invocations", body),
            lambda: post(cloud, "POST", f"/endpoints/{name}/invocations", body),
            lambda: client.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/jsonlines")[
                "Body"
            ].read(),
        ]
        requests_in_turn(calls, 50)
        direct, through, sdk = requests_in_turn(calls, times)
    added = f"adds {(through - direct) * 1000:.2f} ms; promised under 3 ms"
    return [
        Figure("POST through the local cloud", through, "POST to the container", direct, added),
        Figure("boto3 invoke_endpoint", sdk, "POST to the container", direct, ""),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.verbs", description=__doc__)
    parser.add_argument("--project", type=Path, default=ROOT, help="a project that is trained (the example)")
    parser.add_argument("--times", type=int, default=5, help="runs of each verb (default 5)")
    parser.add_argument("--requests", type=int, default=500, help="requests of each kind (default 500)")
    parser.add_argument("--json", type=Path, help="write the figures there, too")
    options = parser.parse_args()
    if not (options.project / "build" / "model").is_dir():
        raise SystemExit(f"{options.project}/build/model is missing: run `make train` first")
    with tempfile.TemporaryDirectory() as scratch:
        project = Path(scratch, "project")
        for part in ("inference", "build/model"):
            shutil.copytree(
                options.project / part,
                project / part,
                ignore=shutil.ignore_patterns("serving", "__pycache__"),
            )
        shutil.copy(options.project / "deploy.toml", project)
        figures = start_figures(options.times * 2)
        with local_cloud(project, Path(scratch, "home")) as environment:
            figures += deploy_figures(project, environment, options.times)
            figures += request_figures(project, environment, options.requests)
    print(*figures, sep="\n")
    if options.json:
        options.json.write_text(json.dumps([vars(figure) for figure in figures], indent=1))


if __name__ == "__main__":
    main()
