"""The serving image, built for the tests by podman or buildah; no registry is asked for anything.

Its base is Debian's packages unpacked, by mmdebstrap in seconds; it is kept in the tool's own storage for the
next run, and so is asked for once. What is built on it is removed in the end.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deploy.image import context

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("podman", "buildah", "mmdebstrap")
# What Debian calls them, and what podman needs beside itself.
DEBIAN = "podman buildah mmdebstrap runc netavark iptables"
SUITE = "bookworm"
PACKAGES = "python3-venv,dash,coreutils,libc-bin,libstdc++6"
BASE = f"localhost/slipway-tests-base:{SUITE}"
# Of the kit's tests' own, so that none is taken for a user's.
IMAGE = "localhost/slipway-tests"
# Without systemd there is no journal, and nobody who hands out control groups.
CONTAINERS_CONF = """\
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=30000:30000"]
"""
# buildah needs neither a network of its own nor a runtime.
BUILD = {
    "podman": ("podman", "build", "--network=none"),
    "buildah": ("buildah", "bud", "--isolation=chroot"),
}
# What the runtime itself asks for on a Python before 3.11.3, as Debian 12's is.
ALSO = "async-timeout"


def missing() -> list[str]:
    """The tools that are not there."""
    return [tool for tool in TOOLS if not shutil.which(tool)]


def settings(folder: Path) -> dict[str, str]:
    """The variables that make podman work here, and keep nothing between a base and the image built on it.

    Where systemd runs it works by itself.
    """
    found = {"BUILDAH_LAYERS": "false"}
    if not Path("/run/systemd/system").is_dir():
        (folder / "containers.conf").write_text(CONTAINERS_CONF)
        found["CONTAINERS_CONF"] = str(folder / "containers.conf")
    return found


def run(*words: str, timeout: float = 300, **given: object) -> subprocess.CompletedProcess[str]:
    """A command to its end; its output is the assertion's where it fails."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=timeout, **given)
    assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done


def make_base(scratch: Path) -> None:
    """The base image, made unless an earlier run has."""
    if subprocess.run(["podman", "image", "exists", BASE], check=False).returncode == 0:
        return
    tar = scratch / "base.tar"
    # Unpacked and not set up: no account, no shell's profile, nothing that the runtime could lean on.
    run("mmdebstrap", "--quiet", "--variant=extract", f"--include={PACKAGES}", SUITE, str(tar))
    run("podman", "import", "--quiet", str(tar), BASE)
    tar.unlink()


def download_wheels(folder: Path) -> Path:
    """What the runtime needs, so that a build needs no index."""
    needs = ROOT / "inference/serving/requirements.txt"
    asked = ["-c", str(ROOT / "constraints.txt"), "-r", str(needs), ALSO]
    pip = [sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check"]
    run(*pip, "--only-binary", ":all:", "-d", str(folder), *asked)
    return folder


def write_context(folder: Path, requirements: str = "") -> Path:
    """The build's context for a handler with these requirements, as deploy writes it."""
    project, place = folder / "project", folder / "context"
    (project / "inference").mkdir(parents=True)
    (project / "inference/requirements.txt").write_text(requirements)
    place.mkdir()
    context.read(project).write(place)
    return place


@dataclass(frozen=True)
class Build:
    """What an image is built of."""

    context: Path
    wheels: Path


def built(tool: str, build: Build, *more: str) -> subprocess.CompletedProcess[str]:
    """Builds the image with podman or buildah, which tags it with its own name; the finished process."""
    arguments = {"BASE_IMAGE": BASE, "TORCH": "", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/wheels"}
    words = [word for name, value in arguments.items() for word in ("--build-arg", f"{name}={value}")]
    words += ["-v", f"{build.wheels}:/wheels:ro", "-f", str(build.context / "infra/image/Dockerfile")]
    words += ["-t", f"{IMAGE}:{tool}", *more, str(build.context)]
    return subprocess.run([*BUILD[tool], *words], capture_output=True, text=True, timeout=300)


@contextmanager
def image(tool: str, build: Build) -> Iterator[str]:
    """The name of an image that the tool has built; removed in the end."""
    done = built(tool, build)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    yield f"{IMAGE}:{tool}"
    run("podman", "rmi", "--force", f"{IMAGE}:{tool}")
