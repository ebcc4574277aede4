"""[aws] and [gcp]: the account or project, and the machine."""

import re
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from deploy.labels import wrong_labels
from deploy.sections.section import INSTANCE_TYPE, MACHINE_TYPE, Section

# Source: the CloudWatch Logs API's PutRetentionPolicy: the values of retentionInDays.
_LOG_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288),
    3653,
)


class Aws(Section):
    """[aws]: the account and the machine."""

    region: str = Field(
        pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]+$", description="an AWS region", examples=["us-east-1"]
    )
    bucket: str = Field(
        pattern=r"^[a-z0-9][a-z0-9-]*(\.[a-z0-9][a-z0-9-]*)*$",
        min_length=3,
        max_length=63,
        description="a bucket's name: 3 to 63 of a-z, 0-9, '-' and '.'",
        examples=["my-company-models"],
    )
    role: str = Field(
        pattern=r"^arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+$",
        max_length=2048,
        description="the ARN of the role that SageMaker takes on",
        examples=["arn:aws:iam::123456789012:role/slipway-execution"],
    )
    image: str = Field(
        default="",
        pattern=r"^\S*$",
        max_length=255,
        description="an image's URI without blanks; without it, the kit's own is built",
        examples=["123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"],
    )
    instance_type: str = Field(
        pattern=f"^{INSTANCE_TYPE}$",
        description="a SageMaker hosting type",
        examples=["ml.m7i.large"],
    )
    instance_count: int = Field(default=1, ge=1, description="a whole number of at least 1", examples=[1])
    scheduler_role: str = Field(
        default="",
        pattern=r"^(arn:aws[a-z-]*:iam::[0-9]{12}:role/[a-zA-Z0-9_+=,.@/-]+)?$",
        max_length=1600,
        description="the ARN of the role that EventBridge Scheduler takes on for TTL",
        examples=["arn:aws:iam::123456789012:role/slipway-scheduler"],
    )
    log_days: int | None = Field(
        default=None,
        description=f"days that the endpoint's logs are kept, one of {', '.join(map(str, _LOG_DAYS))}",
        examples=[30],
    )

    @field_validator("log_days")
    @classmethod
    def _one_that_there_is(cls, days: int | None) -> int | None:
        if days is not None and days not in _LOG_DAYS:
            raise PydanticCustomError("log_days", "not one of them")
        return days

    @property
    def account(self) -> str:
        """The account of the role: the bucket must belong to it, too."""
        return self.role.split(":")[4]


# Source: cloud.google.com/vertex-ai/docs/predictions/configure-compute: N1, and those made for accelerators.
_WITH_ACCELERATORS = re.compile(r"(n1|[ag][0-9]+)-")


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
        default="",
        pattern=r"^\S*$",
        max_length=255,
        description="an image's URI without blanks, of Artifact Registry in the region; without it, "
        "the kit's own is built",
        examples=["us-central1-docker.pkg.dev/my-company-models/slipway/serving:1"],
    )
    training_image: str = Field(
        default="",
        pattern=r"^\S*$",
        max_length=255,
        description="an image's URI without blanks; without it, image trains, too",
        examples=["us-central1-docker.pkg.dev/my-company-models/slipway/training:1"],
    )
    machine_type: str = Field(
        pattern=f"^{MACHINE_TYPE}$",
        max_length=63,
        description="a Compute Engine machine type",
        examples=["n2-standard-2"],
    )
    accelerator_type: str = Field(
        default="",
        pattern=r"^(NVIDIA_[A-Z0-9_]+)?$",
        description="one of Vertex AI's accelerators",
        examples=["NVIDIA_L4"],
    )
    accelerator_count: int | None = Field(
        default=None, ge=1, le=16, description="a whole number of 1 to 16", examples=[1]
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
    scheduler_account: str = Field(
        default="",
        pattern=r"^([a-z0-9-]+@[a-z0-9.-]+\.gserviceaccount\.com)?$",
        description="the e-mail address of the service account that Cloud Scheduler calls as, for TTL",
        examples=["scheduler@my-company-models.iam.gserviceaccount.com"],
    )
    # Source: cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type
    endpoint: Literal["dedicated", "shared"] = Field(
        default="dedicated",
        description='"dedicated" (bodies to 10 MB) or "shared" (bodies to 1.5 MB, answered within 60 s)',
        examples=["dedicated"],
    )
    # Source: cloud.google.com/vertex-ai/docs/predictions/create-public-endpoint
    timeout_s: int | None = Field(
        default=None,
        ge=1,
        le=3600,
        description="seconds that a prediction may take, 1 to 3600; without it, Vertex AI's own 600",
        examples=[900],
    )
    labels: dict[str, str] = Field(
        default={}, description="a section of names and values", examples=[{"team": "forecasts"}]
    )

    @field_validator("labels", mode="before")
    @classmethod
    def _one_by_one(cls, section: object) -> object:
        wrong = wrong_labels(section) if isinstance(section, dict) else []
        if wrong:
            raise ValueError("\n".join(wrong))
        return section

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        wrong = (self._wrong_replicas(), self._wrong_accelerator(), self._wrong_timeout())
        if any(wrong):
            raise ValueError("\n".join(filter(None, wrong)))
        return self

    def _wrong_replicas(self) -> str:
        if self.max_replicas is None or self.max_replicas >= self.min_replicas:
            return ""
        return f"max_replicas is {self.max_replicas}, expected at least min_replicas ({self.min_replicas})"

    def _wrong_accelerator(self) -> str:
        if bool(self.accelerator_type) != bool(self.accelerator_count):
            return "accelerator_type and accelerator_count go together: give both, or none"
        if self.accelerator_type and not _WITH_ACCELERATORS.match(self.machine_type):
            return (
                f"machine_type is {self.machine_type!r}, which takes no accelerator: expected one such as "
                '"g2-standard-4" for NVIDIA_L4 or "n1-standard-4" for NVIDIA_TESLA_T4'
            )
        return ""

    def _wrong_timeout(self) -> str:
        if self.timeout_s is None or self.endpoint == "dedicated":
            return ""
        return f"timeout_s is {self.timeout_s}, expected none with a shared endpoint, which waits for 60 s"
