"""The Python and the torch that an image has, against those that the check and the requirements have.

Of the kit's own image its base is known; of any other its name alone, where AWS's deep learning images and
Python's own say both. Where a name says nothing, nothing is said.
Source: github.com/aws/deep-learning-containers, available_images.md (…/pytorch-inference:2.6.0-cpu-py312-…).
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from deploy import image as images
from deploy.checking.findings import Finding, error, warning
from deploy.checking.subject import KIT, Subject

DOCKERFILE = KIT / "infra/image/Dockerfile"
_PYTHON = re.compile(r"[^a-z0-9]py3(\d{1,2})(?![0-9])|(?:^|/)python:3\.(\d{1,2})(?![0-9])")
_TORCH = re.compile(r"pytorch-(?:inference|training)[a-z0-9-]*:(\d+\.\d+)")
_BASE = re.compile(r"^ARG BASE_IMAGE=(\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Told:
    """What an image's name says: versions such as 3.12 and 2.6, "" where it says none."""

    python: str
    torch: str


def told(image: str) -> Told:
    """Read an image's URI."""
    python, torch = _PYTHON.search(image), _TORCH.search(image)
    return Told(f"3.{python[1] or python[2]}" if python else "", torch[1] if torch else "")


def found(subject: Subject) -> Iterator[Finding]:
    """Versions that are not those of the image, and a training image that is not like the serving one."""
    place, image = _serving(subject)
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if image.python and image.python != here:
        value = f"has Python {image.python}, and was checked with {here}"
        fix = f"make .venv with that Python (rm -r .venv; make check PYTHON=python{image.python})"
        yield warning(place, value, fix)
    torch = _wanted_torch(subject)
    if image.torch and torch and not torch.startswith(f"{image.torch}."):
        value = f"has torch {image.torch}, and inference/requirements.txt asks for {torch}"
        yield error(place, value, "take an image with that torch, or train and pin with the image's")
    yield from _training(subject, image)


def _serving(subject: Subject) -> tuple[str, Told]:
    """Where the image is named, and what that says."""
    if subject.image and not images.is_own(subject.config, subject.cloud):
        return f"deploy.toml: [{subject.cloud}] image", told(subject.image)
    if subject.config.image.base:
        return "deploy.toml: [image] base", told(subject.config.image.base)
    base = _BASE.search(DOCKERFILE.read_text()) if DOCKERFILE.is_file() else None
    return f"infra/image/{DOCKERFILE.name}", told(base[1] if base else "")


def _wanted_torch(subject: Subject) -> str:
    lines = [line for line in subject.lines if line.name == "torch"]
    return next((line.version or subject.pins.get("torch", "") for line in lines), "")


def _training(subject: Subject, serving: Told) -> Iterator[Finding]:
    place = {"aws": "[training] image", "gcp": "[gcp] training_image"}[subject.cloud]
    config = subject.config
    image = told((config.training.image if subject.cloud == "aws" else config.gcp.training_image) or "")
    for what in ("python", "torch"):
        one, other = getattr(image, what), getattr(serving, what)
        if one and other and one != other:
            value = f"has {what} {one}, and what serves has {other}, which may not load what it saves"
            yield warning(f"deploy.toml: {place}", value, "use the same in both")
