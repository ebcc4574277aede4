"""The machine that a container runs on, as packages name it: Linux, and the processor of the machine type.

Source: packaging.python.org/en/latest/specifications/platform-compatibility-tags
"""

from __future__ import annotations

import platform
import sys

from packaging.tags import Tag, compatible_tags, cpython_tags

from deploy.image import machines

_NAMES = {"amd64": "x86_64", "arm64": "aarch64"}
# Of Debian 12, which the image is made of, down: a wheel for an older one runs on all newer.
_GLIBC = range(36, 4, -1)


def processor(machine_type: str) -> str:
    """x86_64 or aarch64, for an instance type of SageMaker or a machine type of Google's."""
    return _NAMES[machines.processor(machine_type)]


def is_like_this(architecture: str) -> bool:
    """Whether what pip installs here is what it would install there."""
    return sys.platform == "linux" and platform.machine() == architecture


def platforms(architecture: str) -> list[str]:
    """The platform tags of wheels that run there, the newest first."""
    older = ["manylinux2014", *(["manylinux2010", "manylinux1"] if architecture == "x86_64" else [])]
    newer = [f"manylinux_2_{minor}" for minor in _GLIBC]
    return [f"{name}_{architecture}" for name in (*newer, *older, "linux")]


def tags(architecture: str) -> frozenset[Tag]:
    """All tags of wheels that run there, by the Python that runs this."""
    version, names = sys.version_info[:2], platforms(architecture)
    own = cpython_tags(version, platforms=names)
    return frozenset([*own, *compatible_tags(version, f"cp{version[0]}{version[1]}", names)])


def markers(architecture: str) -> dict[str, str]:
    """What markers such as `sys_platform == "darwin"` are held against there."""
    return {
        "sys_platform": "linux",
        "platform_system": "Linux",
        "os_name": "posix",
        "platform_machine": architecture,
        "extra": "",
    }
