"""What a section of deploy.toml is, and the one that is Google Cloud's."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Section(BaseModel):
    """Whole or refused: no unknown key, no value of another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


class Gcp(Section):
    """[gcp]: the project and the machine."""

    # Source: cloud.google.com/resource-manager/docs/creating-managing-projects
    project: str = Field(
        pattern=r"^[a-z][a-z0-9-]{4,28}[a-z0-9]$",
        description="a project's ID: 6 to 30 of a-z, 0-9 and '-'",
        examples=["my-company-models"],
    )
    region: str = Field(
        pattern=r"^[a-z]+-[a-z]+[0-9]+$", description="a Google Cloud region", examples=["us-central1"]
    )
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9_-]*(\.[a-z0-9][a-z0-9_-]*)*$",
        min_length=3,
        max_length=63,
        description="a bucket's name: 3 to 63 of a-z, 0-9, '-', '_' and '.'",
        examples=["my-company-models"],
    )
    image: str = Field(
        pattern=r"^\S+$",
        max_length=255,
        description="an image's URI without blanks, of Artifact Registry in the region",
        examples=["us-central1-docker.pkg.dev/my-company-models/slipway/serving:1"],
    )
    machine_type: str = Field(
        pattern=r"^[a-z0-9]+(-[a-z0-9]+)+$",
        max_length=63,
        description="a Compute Engine machine type",
        examples=["n2-standard-2"],
    )
    min_replicas: int = Field(default=1, ge=1, description="a whole number of at least 1", examples=[1])
    max_replicas: int | None = Field(
        default=None, ge=1, description="a whole number, at least min_replicas", examples=[3]
    )
    service_account: str = Field(
        default="",
        pattern=r"^([a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com)?$",
        description="the e-mail address of the service account that the container runs as",
        examples=["serving@my-company-models.iam.gserviceaccount.com"],
    )
    # Source: cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type
    endpoint: Literal["dedicated", "shared"] = Field(
        default="dedicated",
        description='"dedicated" (bodies to 10 MB) or "shared" (bodies to 1.5 MB, answered within 60 s)',
        examples=["dedicated"],
    )

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        if self.max_replicas is not None and self.max_replicas < self.min_replicas:
            raise ValueError(
                f"max_replicas is {self.max_replicas}, expected at least min_replicas ({self.min_replicas})"
            )
        return self
