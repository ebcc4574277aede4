"""A private Python environment for a container: whatever it does with pip changes nothing on the host.

It sees what the local cloud's own Python has installed, as an image has its packages. What a container
installs goes into its own folder: `pip install -r` finds satisfied what is there already, and adds what is
missing, or is of another version, in front of it.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

PYTHONS = ("python", "python3", f"python{sys.version_info.major}.{sys.version_info.minor}")
SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
# A shell script, since a kernel cuts the first line of a Python one where the path is long.
PIP = '#!/bin/sh\nexec "${0%/*}/python" -m pip "$@"\n'

# What pip needs to find its index: the variables of the local cloud's own process are passed on.
NETWORK = (
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)
# What would lead pip out of the private environment, or make it refuse to work there.
_ASTRAY = {"PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PIP_PYTHON", "PIP_SRC", "PIP_LOG"}


def make(place: Path) -> None:
    """Makes the environment in that folder, in milliseconds: pip itself is the local cloud's own."""
    venv.EnvBuilder(with_pip=False, symlinks=True).create(place)
    packages = sysconfig.get_path("purelib", "venv", {"base": str(place)})
    # addsitedir, not the path alone: what is installed there may have .pth files of its own.
    lines = [f"import site; site.addsitedir({folder!r})" for folder in _installed()]
    Path(packages, "_host.pth").write_text("\n".join(lines) + "\n")
    for name in PYTHONS:
        pip = place / "bin" / name.replace("python", "pip")
        pip.write_text(PIP)
        pip.chmod(0o755)


def variables(place: Path, given: Mapping[str, str], host: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment's variables with it in force: `given`, a container's own, and what pip needs of `host`.

    The environment comes first on PATH whatever PATH is given, and none of `host` is otherwise to be seen.
    """
    path = given.get("PATH", os.pathsep.join(SYSTEM_PATH))
    return {
        **_for_pip(host),
        **given,
        "PATH": os.pathsep.join([str(place / "bin"), path]),
        "VIRTUAL_ENV": str(place),
        "PIP_USER": "0",  # whatever the user's own configuration says
        "PIP_REQUIRE_VIRTUALENV": "1",  # a pip that is found elsewhere all the same does nothing
    }


def _for_pip(host: Mapping[str, str]) -> dict[str, str]:
    passed = {
        name: value
        for name, value in host.items()
        if name.upper() in NETWORK or (name.startswith("PIP_") and name not in _ASTRAY)
    }
    own = Path(host.get("HOME", "/"), ".config", "pip", "pip.conf")  # the container has another HOME
    return {"PIP_CONFIG_FILE": str(own), **passed} if own.is_file() else passed


def _installed() -> list[str]:
    """The folders of this process's path that hold what is installed, in their order."""
    return [folder for folder in sys.path if Path(folder).name in ("site-packages", "dist-packages")]
