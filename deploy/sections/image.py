"""[image]: how the kit's own image is built, where [aws] or [gcp] names none."""

import re
from typing import Literal

from pydantic import Field, field_validator

from deploy.denylist import find_secret
from deploy.sections.section import Section

# Source: github.com/distribution/reference, reference.go: the grammar of an image's name.
_PART = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"[a-zA-Z0-9]([a-zA-Z0-9.-]*[a-zA-Z0-9])?(:[0-9]{1,5})?/"
_REFERENCE = rf"({_HOST})?{_PART}(/{_PART})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(@sha256:[0-9a-f]{{64}})?"
# What a build is given travels through tools that know `$`, quotes, braces and lines: none of them is let in.
_VALUE = re.compile(r"[A-Za-z0-9_.,:/@+=<>!~ -]{0,512}")
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
# Build arguments that are set otherwise, and how.
OWN = {"BASE_IMAGE": "[image] base", "DEVICE": "[image] device", "INPUTS": "the image's own digest"}


class Image(Section):
    """[image]: who builds the image, and on what."""

    kind: Literal["built", "fetched", "ray-serve"] = Field(
        default="built",
        description='"built", or without any build "fetched" (Vertex AI: [gcp] image fetches the runtime) or '
        '"ray-serve" (SageMaker: an image of AWS\'s)',
        examples=["built"],
    )
    runtime: str = Field(
        default="",
        pattern=r"^(gs://[a-z0-9][a-z0-9._-]*/([a-zA-Z0-9_.-]+/)*[0-9a-f]{64}\.zip)?$",
        max_length=1024,
        description="what is fetched: gs://BUCKET/FOLDER/SHA256.zip; without it, the kit's own",
        examples=[f"gs://my-company-models/_runtimes/{'0' * 64}.zip"],
    )
    builder: Literal["auto", "docker", "podman", "buildah", "cloud"] = Field(
        default="auto",
        description='"docker", "podman", "buildah", "cloud" (CodeBuild, Cloud Build) or "auto": '
        "the first of them that works",
        examples=["cloud"],
    )
    base: str = Field(
        default="",
        pattern=f"^({_REFERENCE})?$",
        max_length=255,
        description="the name of the image to build on, as docker pulls it; without it, the Dockerfile's own",
        examples=["python:3.12-slim"],
    )
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cu[0-9]{3})$",
        description='"cpu", a CUDA such as "cu126", or "auto": what the machine that serves has',
        examples=["cu126"],
    )
    arguments: dict[str, str] = Field(
        default={},
        description="a section of names and values, each an ARG of infra/image/Dockerfile",
        examples=[{"TORCH": "torch==2.13.0"}],
    )

    @field_validator("arguments")
    @classmethod
    def _one_by_one(cls, arguments: dict[str, str]) -> dict[str, str]:
        wrong = [text for name, value in arguments.items() if (text := _wrong(name, value))]
        if wrong:
            raise ValueError("\n".join(wrong))
        return arguments


def _wrong(name: str, value: str) -> str:
    if not _NAME.fullmatch(name):
        return f"{name[:70]!r} is no build argument, expected capitals, digits and '_', such as TORCH"
    if name in OWN:
        return f"{name} is set by {OWN[name]}"
    if find_secret(value.encode()):
        return f"{name} looks like a secret, and whoever has the image could read it: keep it out of builds"
    if not _VALUE.fullmatch(value):
        return (
            f"{name} is {value[:70]!r}, expected at most 512 letters, digits, blanks and _.,:/@+=<>!~- "
            "on one line"
        )
    return ""
