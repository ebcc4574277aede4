"""What is checked: a project, and the archive made of it, unpacked."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from deploy.checking import requirements
from deploy.checking.requirements import Line
from deploy.config import Config
from deploy.package import Archive

KIT = Path(__file__).resolve().parents[2]
CONSTRAINTS = KIT / "constraints.txt"
REQUIREMENTS = "requirements.txt"


@dataclass(frozen=True)
class Subject:
    """The project in `project`, for one cloud ("aws" or "gcp"); `model` is its archive, unpacked."""

    project: Path
    config: Config
    cloud: str
    archive: Archive
    model: Path

    @property
    def code(self) -> Path:
        return self.project / "inference"

    @cached_property
    def lines(self) -> list[Line]:
        """The requirements, those of included files among them."""
        return requirements.read(self.code / REQUIREMENTS, self.project)

    @cached_property
    def pins(self) -> dict[str, str]:
        """The versions that everything of Slipway's is installed with."""
        return requirements.pins(CONSTRAINTS)

    @property
    def machine_type(self) -> str:
        """What the endpoint runs on."""
        return self.config.aws.instance_type if self.cloud == "aws" else self.config.gcp.machine_type

    @property
    def image(self) -> str:
        """The image that serves; "" where it is not known yet."""
        return (self.config.aws.image if self.cloud == "aws" else self.config.gcp.image) or ""

    def place(self, member: str) -> str:
        """Where a file of the archive lies in the project, as a person is told."""
        if member.startswith("code/"):
            return f"inference/{member.removeprefix('code/')}"
        return f"build/{member}" if member.startswith("optimized/") else f"build/model/{member}"
