"""[batch] and [training]: the jobs."""

from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from deploy.sections.section import INSTANCE_TYPE, MACHINE_TYPE, Section
from deploy.training import entries

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
        default="", pattern=f"^({INSTANCE_TYPE})?$", description=_INSTANCE, examples=["ml.c7i.xlarge"]
    )
    machine_type: str = Field(
        default="",
        pattern=f"^({MACHINE_TYPE})?$",
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
        default="", pattern=f"^({INSTANCE_TYPE})?$", description=_INSTANCE, examples=["ml.m7i.xlarge"]
    )
    machine_type: str = Field(
        default="",
        pattern=f"^({MACHINE_TYPE})?$",
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
