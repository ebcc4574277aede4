"""The sections of deploy.toml, each a model whose fields say what would be right: config.py reads them.

Every description completes the sentence "expected …" of an error.
"""

import re
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from deploy.labels import wrong_labels
from deploy.training import entries


class Section(BaseModel):
    """Whole or refused: no unknown key, no value of another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")


_INSTANCE_TYPE = r"^(ml\.[a-z0-9-]+\.[a-z0-9-]+)?$"


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
        pattern=r"^\S+$",
        max_length=255,
        description="an image's URI without blanks",
        examples=["123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"],
    )
    instance_type: str = Field(
        pattern=r"^ml\.[a-z0-9-]+\.[a-z0-9-]+$",
        description="a SageMaker hosting type",
        examples=["ml.m7i.large"],
    )
    instance_count: int = Field(default=1, ge=1, description="a whole number of at least 1", examples=[1])

    @property
    def account(self) -> str:
        """The account of the role: the bucket must belong to it, too."""
        return self.role.split(":")[4]


_MACHINE_TYPE = r"^[a-z0-9]+(-[a-z0-9]+)+$"
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
        pattern=r"^\S+$",
        max_length=255,
        description="an image's URI without blanks, of Artifact Registry in the region",
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
        pattern=_MACHINE_TYPE,
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


class Serving(Section):
    """[serving]: the runtime's limits; what is left out keeps the runtime's own default."""

    # The runtime's own bounds: what it would refuse at start is refused here.
    max_queue: int | None = Field(
        default=None, ge=1, le=100_000, description="a whole number of 1 to 100000", examples=[64]
    )
    max_body_mb: int | None = Field(
        default=None, ge=1, le=1024, description="a whole number of 1 to 1024", examples=[25]
    )
    header_timeout_s: float | None = Field(
        default=None, ge=0.1, le=3600, description="seconds, 0.1 to 3600", examples=[10]
    )
    body_timeout_s: float | None = Field(
        default=None, ge=0.1, le=3600, description="seconds, 0.1 to 3600", examples=[10]
    )
    # SageMaker kills a container 30 s after it asked it to stop.
    drain_s: float | None = Field(
        default=None, ge=0, lt=30, description="seconds, 0 to less than 30", examples=[25]
    )


# The operators that SageMaker has of JSONPath: .name, *, ['a','b'], [0,5], [start:end].
_QUOTED = r"""('[^']*'|"[^"]*")"""
_PLACE = r"(-?[0-9]+|(-?[0-9]+)?:(-?[0-9]+)?)"
_MEMBERS = rf"\[ *(\*|{_QUOTED}( *, *{_QUOTED})*|{_PLACE}( *, *{_PLACE})*) *\]"
_FILTER = rf"""^(\$(\.\*|\.[^.\[\]*'"\s,]+|\.?{_MEMBERS})*)?$"""
_A_FILTER = "a JSONPath of at most 63 characters, of .name, *, ['a','b'], [0,5] and [start:end] after a $"
_INSTANCE = "a SageMaker type; without it, that of [aws]"


class Batch(Section):
    """[batch]: how `batch-transform` reads its files, treats their rows and calls the container.

    What is one cloud's alone, the other's jobs ignore, but for the filters: without them a result is another.
    """

    header: Literal["none", "strip"] = Field(
        default="none",
        description='"none" or "strip": whether the first line of a CSV file names its columns',
    )
    on_error: Literal["fail", "keep"] = Field(
        default="fail",
        description='"fail" or "keep" (whether a bad row costs its file)',
        examples=["keep"],
    )
    join: Literal["none", "input"] = Field(
        default="none",
        description='"none" or "input" (whether a prediction comes with its row)',
        examples=["input"],
    )
    # Source: the SageMaker API's DataProcessing: at most 63 characters.
    input_filter: str = Field(
        default="", max_length=63, pattern=_FILTER, description=_A_FILTER, examples=["$[1:]"]
    )
    output_filter: str = Field(
        default="", max_length=63, pattern=_FILTER, description=_A_FILTER, examples=["$.SageMakerOutput"]
    )
    accept: str = Field(
        default="",
        pattern=r"^(application/jsonlines|text/csv)?$",
        description='"application/jsonlines" or "text/csv": the form of the results',
        examples=["text/csv"],
    )
    instance_type: str = Field(
        default="", pattern=_INSTANCE_TYPE, description=_INSTANCE, examples=["ml.c7i.xlarge"]
    )
    machine_type: str = Field(
        default="",
        pattern=f"^({_MACHINE_TYPE[1:-1]})?$",
        max_length=63,
        description="a Compute Engine machine type; without it, that of [gcp]",
        examples=["n2-standard-8"],
    )
    instance_count: int = Field(
        default=1, ge=1, le=100, description="a whole number of 1 to 100: machines of a job", examples=[2]
    )
    # Source: the Vertex AI API's ManualBatchTuningParameters, which has 64 if nothing is said.
    batch_size: int = Field(
        default=64,
        ge=1,
        le=100_000,
        description="a whole number of 1 to 100000: records of one request of Vertex AI, of 1 GB in all",
        examples=[64],
    )
    # Source: the SageMaker API's CreateTransformJob and ModelClientConfig. On both clouds no record may be
    # larger than a payload; for the rest, Vertex AI has limits of its own and tries three times.
    max_payload_mb: int | None = Field(
        default=None, ge=1, le=100, description="a whole number of 1 to 100", examples=[6]
    )
    max_concurrent: int | None = Field(
        default=None, ge=1, le=100, description="a whole number of 1 to 100, for SageMaker", examples=[4]
    )
    timeout_s: int | None = Field(
        default=None,
        ge=1,
        le=3600,
        description="seconds for one request of SageMaker, 1 to 3600",
        examples=[600],
    )
    retries: int | None = Field(
        default=None, ge=0, le=3, description="a whole number of 0 to 3, for SageMaker", examples=[3]
    )

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        if self.on_error == "keep" and self.output_filter not in ("", "$"):
            raise ValueError(
                'on_error = "keep" goes without output_filter, which would cut a failure\'s reason'
            )
        if self.header == "strip" and self.input_filter not in ("", "$"):
            raise ValueError(
                'header = "strip" goes without input_filter, which would cut the header\'s names: '
                "the handler gets columns by name and may ignore some"
            )
        payload, concurrent = self.max_payload_mb or 6, self.max_concurrent or 1
        if payload * concurrent > 100:
            raise ValueError(
                f"max_payload_mb x max_concurrent is {payload * concurrent}, expected at most 100"
            )
        return self


class Training(Section):
    """[training]: the managed job that `train` starts. What is one cloud's alone, the other's jobs ignore."""

    instance_type: str = Field(
        default="", pattern=_INSTANCE_TYPE, description=_INSTANCE, examples=["ml.m7i.xlarge"]
    )
    machine_type: str = Field(
        default="",
        pattern=f"^({_MACHINE_TYPE[1:-1]})?$",
        max_length=63,
        description="a Compute Engine machine type; without it, that of [gcp]",
        examples=["n2-standard-4"],
    )
    image: str = Field(
        default="",
        pattern=r"^\S*$",
        max_length=255,
        description="an image's URI without blanks, on AWS; without it, AWS's own PyTorch training image",
        examples=["123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"],
    )
    # Source: the SageMaker API's StoppingCondition: at most 28 days. Vertex AI's jobs may run for 7.
    max_run_s: int = Field(
        default=86_400, ge=1, le=2_419_200, description="seconds, 1 to 2419200 (28 days)", examples=[3600]
    )
    spot: bool = Field(
        default=False, description="true or false (spot instances, with checkpoints)", examples=[False]
    )
    max_wait_s: int | None = Field(
        default=None,
        ge=1,
        le=2_419_200,
        description="seconds that a spot job of SageMaker may wait and run, at least max_run_s",
        examples=[7200],
    )
    # What SageMaker gives a job's disk if nothing is said, as its SDK does; Vertex AI's has at least 100.
    volume_gb: int = Field(
        default=30, ge=1, le=16_384, description="a whole number of 1 to 16384", examples=[30]
    )
    hyperparameters: dict[str, str | int | float | bool] = Field(
        default={}, description="a section of names and values", examples=[{"epochs": 3}]
    )
    channels: dict[str, str] = Field(
        default={},
        description="a section of names and folders or s3:// or gs:// prefixes",
        examples=[{"train": "data/train"}],
    )
    metrics: dict[str, str] = Field(
        default={},
        description="a section of names and regular expressions",
        examples=[{"loss": "loss=([0-9.]+)"}],
    )

    @field_validator(*entries.SECTIONS, mode="before")
    @classmethod
    def _one_by_one(cls, section: object, info: ValidationInfo) -> object:
        wrong = entries.SECTIONS[info.field_name or ""](section) if isinstance(section, dict) else []
        if wrong:
            raise ValueError("\n".join(wrong))
        return section

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        if self.max_wait_s is not None and not self.spot:
            raise ValueError("max_wait_s goes with spot = true: other jobs do not wait for a machine")
        if self.max_wait_s is not None and self.max_wait_s < self.max_run_s:
            raise ValueError(
                f"max_wait_s is {self.max_wait_s}, expected at least max_run_s ({self.max_run_s}): "
                "the time of waiting and running together"
            )
        return self
