"""The local cloud's commands, as a shell uses them."""

import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from infra.local import shell

ROOT = Path(__file__).parents[3]
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(local_cloud: Any) -> Run:
    """One command, on the local cloud that runs, with these variables besides."""

    def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        clean = {name: value for name, value in local_cloud.shell.items() if not name.startswith("AWS_")}
        argv = [sys.executable, "-m", "infra.local", *words]
        return subprocess.run(
            argv, env={**clean, **variables}, cwd=ROOT, capture_output=True, text=True, timeout=60
        )

    return command


def exports(text: str) -> dict[str, str]:
    lines = [shlex.split(line) for line in text.splitlines()]
    assert all(len(words) == 2 and words[0] == "export" for words in lines), text
    return dict(words[1].split("=", 1) for words in lines)


def test_env_prints_exports_and_nothing_else(
    run: Run, local_cloud: Any, project: Callable[..., Path]
) -> None:
    done = run("env", "--project", str(project()))
    found = exports(done.stdout)
    assert found["AWS_ENDPOINT_URL"] == local_cloud.url
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_SECRET_ACCESS_KEY"]) == ("local", "local")
    assert (found["AWS_REGION"], found["AWS_DEFAULT_REGION"]) == ("us-east-1", "us-east-1")
    assert found["AWS_EC2_METADATA_DISABLED"] == "true"
    assert done.returncode == 0


def test_a_shell_can_evaluate_what_env_prints(run: Run) -> None:
    done = run("env")
    shown = subprocess.run(
        ["/bin/sh", "-c", f"set -eu\n{done.stdout}\necho $AWS_ENDPOINT_URL"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout.strip() == exports(done.stdout)["AWS_ENDPOINT_URL"]


def test_env_takes_the_region_and_the_account_from_the_project(
    run: Run, project: Callable[..., Path]
) -> None:
    place = project()
    text = (place / "deploy.toml").read_text()
    text = text.replace('region = "us-east-1"', 'region = "eu-west-1"').replace(
        "iam::123456789012", "iam::210987654321"
    )
    (place / "deploy.toml").write_text(text.replace("slipway-tests", "slipway-tests-elsewhere"))
    found = exports(run("env", "--project", str(place)).stdout)
    assert (found["AWS_REGION"], found["AWS_ACCESS_KEY_ID"]) == ("eu-west-1", "210987654321")


HOSTILE = {
    "AWS_PROFILE": "production",
    "AWS_DEFAULT_PROFILE": "production",
    "AWS_SESSION_TOKEN": "a-real-token",
    "AWS_ACCESS_KEY_ID": "AKIAREAL",
    "AWS_ENDPOINT_URL_S3": "https://s3.example",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "HTTP_PROXY": "http://127.0.0.1:9",
}
PROBE = """
import boto3
s3 = boto3.client("s3")
print(s3.meta.endpoint_url, s3.meta.region_name, boto3.client("sts").get_caller_identity()["Account"])
print(boto3.Session().get_credentials().token or "no token", len(s3.list_buckets()["Buckets"]) > 0)
"""


def test_a_users_own_configuration_does_not_lead_elsewhere(
    run: Run, local_cloud: Any, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile production]\nregion = eu-west-3\nendpoint_url = https://example.com\n")
    hostile = {**HOSTILE, "AWS_CONFIG_FILE": str(config)}
    environment = {**os.environ, **hostile, **exports(run("env", **hostile).stdout)}
    done = subprocess.run(
        [sys.executable, "-c", PROBE], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.split() == [local_cloud.url, "us-east-1", "123456789012", "no", "token", "True"], (
        done.stderr
    )


def test_status_says_where_it_is(run: Run, local_cloud: Any) -> None:
    done = run("status")
    first = done.stdout.splitlines()[0]
    process = f"process {local_cloud.pid}, log {local_cloud.home}/cloud.log"
    assert first == f"the local cloud is at {local_cloud.url} ({process})"
    assert done.returncode == 0


def test_without_a_command_the_help_is_named(run: Run) -> None:
    done = run()
    assert done.returncode == 2
    assert "usage: python -m infra.local" in done.stderr


@pytest.mark.parametrize("words", [("--help",), ("env", "--help")])
def test_help_teaches(run: Run, words: tuple[str, ...]) -> None:
    done = run(*words)
    assert done.returncode == 0
    assert "deploy.toml" in done.stdout or 'eval "$(python -m infra.local env)"' in done.stdout


def test_env_on_a_running_cloud_imports_no_sdk(local_cloud: Any) -> None:
    probe = (
        "import sys, infra.local.__main__ as m; m.main(['env']); print(sorted(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env=local_cloud.shell,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    loaded = done.stderr
    assert not [
        name for name in ("boto3", "moto", "uvicorn", "asyncio", "http.client") if f"'{name}'" in loaded
    ]


def test_an_answer_that_breaks_off_is_told() -> None:
    def hang_up() -> None:
        with listener.accept()[0] as caller:
            caller.recv(65536)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=hang_up).start()
        with pytest.raises(OSError, match="broke off"):
            shell.ask(listener.getsockname()[1], "GET", "/_local/status")


def test_what_cannot_be_printed_is_a_sentence_and_no_traceback(local_cloud: Any) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "infra.local", "env"],
            env={**local_cloud.shell, "PYTHONUNBUFFERED": "1"},
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert (done.returncode, done.stderr) == (1, "error: [Errno 28] No space left on device\n")
