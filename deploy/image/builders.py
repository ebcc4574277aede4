"""docker, podman or buildah, whichever works here: an image built and pushed, by argument lists alone.

A registry's password goes in by stdin. podman and buildah keep it in a file that is gone after; docker keeps
it where `docker login` always does.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.image.recipes import Recipe
from deploy.target import Refused, Say

TOOLS = ("docker", "podman", "buildah")
CLOUD = "cloud"
PROBE_S, REGISTRY_S, STOP_S = 15, 5, 10
TOLD_LINES = 30  # of what a build printed, where it failed
# Attestations make an index of an image, which SageMaker does not take.
# Source: docs.docker.com/build/building/variables, and github.com/aws/sagemaker-python-sdk, issue 4340.
ENVIRONMENT = {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}


@dataclass(frozen=True)
class Login:
    """A registry as its API gives it: its address (https://HOST), and who may push to it.

    `folder` is what stands between the host and a repository's name; it ends with a slash where there is one.
    """

    address: str
    user: str
    password: str
    folder: str = ""

    @property
    def host(self) -> str:
        return self.address.partition("://")[2].rstrip("/")

    @property
    def insecure(self) -> bool:
        return self.address.startswith("http://")


class BuildError(Refused):
    """No image was made; the message says why."""


def choose(wanted: str, registry: str) -> str:
    """The tool to build with, or CLOUD: what deploy.toml says, else the first that works here.

    A registry, by its address, that takes no pushes from here leaves the cloud alone. Raises BuildError for
    a tool that was asked for by name and does not work, or has nowhere to push to.
    """
    if wanted == CLOUD:
        return CLOUD
    if not _takes_pushes(registry):
        if wanted == "auto":
            return CLOUD
        raise BuildError(
            f'[image] builder = "{wanted}": {registry} takes no pushes from here, expected "cloud"'
        )
    if wanted != "auto":
        if trouble := _trouble(wanted):
            raise BuildError(f'deploy.toml: [image]: builder = "{wanted}": {trouble}; or leave it out')
        return wanted
    return next((tool for tool in TOOLS if not _trouble(tool)), CLOUD)


def _takes_pushes(registry: str) -> bool:
    # Source: github.com/opencontainers/distribution-spec, "Determining Support".
    try:
        with urllib.request.urlopen(f"{registry}/v2/", timeout=REGISTRY_S):  # noqa: S310 - the API's own
            return True
    except urllib.error.HTTPError as error:
        return error.code == 401
    except OSError:
        return False


def _trouble(tool: str) -> str:
    """Why a tool does not work here; empty if it does. A command may be there whose service does not run."""
    if not shutil.which(tool):
        return "it is not installed"
    try:
        asked = subprocess.run(
            [tool, "info"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"`{tool} info` did not answer within {PROBE_S} s"
    return "" if asked.returncode == 0 else (asked.stderr.strip().splitlines() or ["`info` failed"])[-1]


def build(tool: str, recipe: Recipe, login: Login, say: Say) -> None:
    """Build the image and push it under its name. Raises BuildError with the end of what was printed.

    `say` takes each line as it comes. Ctrl-C ends the tool and all that it started.
    """
    with tempfile.TemporaryDirectory(prefix="slipway-image-") as place:
        folder = Path(place, "context")
        recipe.context.write(folder)
        steps = commands(tool, recipe, login, Path(place, "auth.json"))
        _run(steps["build"], folder, say)
        _run(steps["login"], folder, say, login.password)
        _run(steps["push"], folder, say)


def commands(tool: str, recipe: Recipe, login: Login, auth: Path) -> dict[str, list[str]]:
    """What is run in the context's folder, one after the other: build, login, push. Pure."""
    image = f"{login.host}/{login.folder}{recipe.name}"
    if tool == "docker":
        kept, form, plain = [], [], []
    else:
        kept, form = [f"--authfile={auth}"], ["--format=docker"]
        plain = ["--tls-verify=false"] if login.insecure else []
    return {
        "build": [tool, "build", *form, *recipe.options, f"--tag={image}", "."],
        "login": [tool, "login", *kept, *plain, f"--username={login.user}", "--password-stdin", login.host],
        "push": [tool, "push", *kept, *plain, image],
    }


def _run(command: Sequence[str], folder: Path, say: Say, given: str = "") -> None:
    """Run it to its end in a group of its own, so that an end of it ends all."""
    with subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as started:
        try:
            printed = _heard(started, given, say)
        except BaseException:
            _end(started)
            raise
    if started.returncode:
        words = " ".join(command[:2])
        raise BuildError("\n".join([f"`{words}` failed ({started.returncode}); it printed last:", *printed]))


def _heard(started: Any, given: str, say: Say) -> list[str]:
    with suppress(BrokenPipeError), started.stdin as stdin:  # it may end without reading
        stdin.write(given)
    last: deque[str] = deque(maxlen=TOLD_LINES)
    for line in started.stdout:
        if text := line.strip():
            last.append(text)
            say(text)
    started.wait()
    return list(last)


def _end(started: Any) -> None:
    """End the tool and what it started: kindly, then not."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(started.pid, how)
            started.wait(STOP_S)
        except ProcessLookupError:
            break
        except subprocess.TimeoutExpired:
            continue
