"""deploy.toml, checked before anything leaves this machine.

The models below are the format's documentation: every field says what would be right, and the same words
are the error's. A mistake is told as `deploy.toml: [section]: key is 'value', expected …`.
"""

import difflib
import re
import tomllib
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import (
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deploy.denylist import find_secret
from deploy.sections import Gcp, Section
from deploy.training import entries

FILE = "deploy.toml"
# Source: the SageMaker API's ContainerDefinition, Environment: 1024 bytes for each key and each value.
MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_ENVIRONMENT_BYTES = 100, 1024, 32 * 1024
DIGEST_ENTRY = "SLIPWAY_MANIFEST_SHA256"  # what a target adds to every container's environment
RESERVED = re.compile(r"(SLIPWAY|AIP)_.*|SAGEMAKER_(BIND_TO_PORT|BASE_DIR)")
SECRET_NAME = re.compile(
    r"(.*_)?(PASSWORD|PASSWD|SECRET|SECRET_KEY|SECRET_ACCESS_KEY|API_KEY|TOKEN)", re.IGNORECASE
)
# A secret's address is no secret, nor is a number of tokens.
NO_SECRET = re.compile(r"arn:aws.*|projects/[^/]+/secrets/.*|[\d.]*|true|false")


class ConfigError(ValueError):
    """deploy.toml cannot be used; the message has a line for each mistake: place, value, what is right."""


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
    """[batch]: how `batch-transform` reads its files, treats their rows and calls the container."""

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
    instance_count: int = Field(
        default=1, ge=1, le=100, description="a whole number of 1 to 100", examples=[2]
    )
    # Source: the SageMaker API's CreateTransformJob and ModelClientConfig.
    max_payload_mb: int | None = Field(
        default=None, ge=1, le=100, description="a whole number of 1 to 100", examples=[6]
    )
    max_concurrent: int | None = Field(
        default=None, ge=1, le=100, description="a whole number of 1 to 100", examples=[4]
    )
    timeout_s: int | None = Field(
        default=None, ge=1, le=3600, description="seconds for one request, 1 to 3600", examples=[600]
    )
    retries: int | None = Field(
        default=None, ge=0, le=3, description="a whole number of 0 to 3", examples=[3]
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
    """[training]: the managed job that `train` starts."""

    instance_type: str = Field(
        default="", pattern=_INSTANCE_TYPE, description=_INSTANCE, examples=["ml.m7i.xlarge"]
    )
    image: str = Field(
        default="",
        pattern=r"^\S*$",
        max_length=255,
        description="an image's URI without blanks; without it, AWS's own PyTorch training image",
        examples=["123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"],
    )
    # Source: the SageMaker API's StoppingCondition: at most 28 days.
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
        description="seconds that a spot job may wait and run, at least max_run_s",
        examples=[7200],
    )
    # What SageMaker gives a job's disk if nothing is said, as its SDK does.
    volume_gb: int = Field(
        default=30, ge=1, le=16_384, description="a whole number of 1 to 16384", examples=[30]
    )
    hyperparameters: dict[str, str | int | float | bool] = Field(
        default={}, description="a section of names and values", examples=[{"epochs": 3}]
    )
    channels: dict[str, str] = Field(
        default={},
        description="a section of names and folders or s3:// prefixes",
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


def _absent() -> Any:
    return None


class Config(Section):
    """deploy.toml whole."""

    # With 12 hex digits behind it, the name must fit the 63 characters that SageMaker allows.
    name: str = Field(
        pattern=r"^[a-zA-Z0-9](-*[a-zA-Z0-9])*$",
        max_length=50,
        description="1 to 50 letters and digits, with '-' between them",
        examples=["flight-delay"],
    )
    keep_versions: int = Field(default=2, ge=0, description="a whole number, 0 or more", examples=[2])
    # One of the two is there; `check_cloud` says whether it is that of the cloud that a verb speaks to.
    aws: Aws = Field(default_factory=_absent)
    gcp: Gcp = Field(default_factory=_absent)
    serving: Serving = Serving()
    batch: Batch = Batch()
    training: Training = Training()
    environment: dict[str, str] = {}

    @field_validator("environment")
    @classmethod
    def _one_by_one(cls, environment: dict[str, str]) -> dict[str, str]:
        wrong = [text for key, value in environment.items() if (text := _wrong_entry(key, value))]
        if wrong:
            raise ValueError("\n".join(wrong))
        return environment

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        entries = container_environment(self) | {DIGEST_ENTRY: "0" * 64}
        size = sum(len(key.encode()) + len(value.encode()) for key, value in entries.items())
        if len(entries) > MAX_ENTRIES:
            raise ValueError(
                f"{len(entries)} entries with Slipway's own, expected at most {MAX_ENTRIES} in a container"
            )
        if size > MAX_ENVIRONMENT_BYTES:
            raise ValueError(f"{size} bytes in all, expected at most {MAX_ENVIRONMENT_BYTES} in a container")
        return self


def load(project: Path) -> Config:
    """The configuration in the project's deploy.toml. Raises ConfigError with every mistake in it."""
    path = project / FILE
    try:
        config = Config.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ConfigError(
            f"{FILE}: not in {project.resolve()}; PROJECT (or --project) names the folder that holds it"
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE}: not valid TOML: {error}") from None
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(mistake) for mistake in error.errors())) from None
    if not (config.aws or config.gcp):
        check_cloud(config, "aws")
    return config


def check_cloud(config: Config, cloud: str) -> None:
    """Raise ConfigError unless the file says all that this cloud ("aws" or "gcp") must know."""
    section = _section([cloud])
    if getattr(config, cloud) is None:
        needed = ", ".join(name for name, field in section.items() if field.is_required())
        raise ConfigError(f"{FILE}: the section [{cloud}] is missing, expected one with {needed}")
    # Source: the Vertex AI API's CreateEndpointRequest.endpoint_id and UploadModelRequest.model_id.
    if cloud == "gcp" and not re.fullmatch(r"[a-z][a-z0-9-]*", config.name):
        raise ConfigError(
            f"{FILE}: name is {config.name!r}, expected a-z, 0-9 and '-', a letter first, on Vertex AI"
        )


def container_environment(config: Config) -> dict[str, str]:
    """What the container gets from deploy.toml: [environment] as it is, [serving] as SLIPWAY_* settings."""
    limits = config.serving.model_dump(exclude_none=True)
    return config.environment | {f"SLIPWAY_{key.upper()}": str(value) for key, value in limits.items()}


def _wrong_entry(key: str, value: str) -> str:
    """What is wrong with one entry of [environment]; empty if nothing is. A secret's value is never shown."""
    if not re.fullmatch(r"[a-zA-Z_][a-zA-Z0-9_]*", key):
        return f"{key!r} is no name for a variable, expected letters, digits and '_', such as LOG_LEVEL"
    if RESERVED.fullmatch(key):
        return f"{key} is reserved: Slipway or the cloud sets it; limits of the runtime go into [serving]"
    if "\0" in value:
        return f"{key} holds a NUL, expected text without one: no process can be given it"
    if max(len(key), len(value.encode())) > MAX_ENTRY_BYTES:
        return f"{key[:40]} has {len(value.encode())} bytes, expected at most {MAX_ENTRY_BYTES}"
    if find_secret(value.encode()) or (SECRET_NAME.fullmatch(key) and not NO_SECRET.fullmatch(value)):
        return (
            f"{key} looks like a secret, and whoever may describe the model could read it: "
            "keep it in Secrets Manager and give its ARN here"
        )
    return ""


def _sentence(mistake: ErrorDetails) -> str:
    """One pydantic error in the house's form."""
    *sections, key = [str(part) for part in mistake["loc"]] or [""]
    section = _section(sections)
    where = "".join(f"[{name}]: " for name in sections)
    text = _missing(section, key) if mistake["type"] == "missing" else ""
    if mistake["type"] == "extra_forbidden":
        text = _unknown(section, key, mistake["input"])
    if mistake["type"] == "value_error":
        # The entries of a container are checked all together: that is a mistake in [environment].
        at = ".".join(str(name) for name in mistake["loc"]) or "environment"
        return "\n".join(f"{FILE}: [{at}]: {line}" for line in str(mistake["ctx"]["error"]).splitlines())
    return f"{FILE}: {where}{text or _wrong(section, key, mistake['input'])}"


def _section(path: list[str]) -> dict[str, FieldInfo]:
    sections: dict[str, type[Section]] = {
        "aws": Aws,
        "gcp": Gcp,
        "serving": Serving,
        "batch": Batch,
        "training": Training,
    }
    if not path:
        return Config.model_fields
    return sections[path[0]].model_fields if path[0] in sections else {}


def _missing(section: dict[str, FieldInfo], key: str) -> str:
    return f"{key} is missing, expected {_right(section[key])}"


def _unknown(section: dict[str, FieldInfo], key: str, value: object) -> str:
    kind = "section" if isinstance(value, dict) else "key"
    near = difflib.get_close_matches(key, section, n=1)
    meant = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown {kind} {key!r}, expected one of {', '.join(sorted(section))}{meant}"


def _wrong(section: dict[str, FieldInfo], key: str, value: Any) -> str:
    if key in section and section[key].description:
        return f"{key} is {value!r}, expected {_right(section[key])}"
    expected = "a section such as [" + key + "]" if key in section else "text in quotes"
    return f"{key} is {value!r}, expected {expected}"


def _right(field: FieldInfo) -> str:
    example = (field.examples or [""])[0]
    shown = f'"{example}"' if isinstance(example, str) else example
    return f"{field.description}, such as {shown}"
