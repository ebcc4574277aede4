"""deploy.toml, checked before anything leaves this machine.

The models in sections.py are the format's documentation: every field says what would be right, and the same
words are the error's. A mistake is told as `deploy.toml: [section]: key is 'value', expected …`.
"""

import difflib
import hashlib
import json
import re
import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any, Self, get_args

from pydantic import (
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from deploy.denylist import find_secret
from deploy.sections import (
    Aws,
    Batch,
    Check,
    Endpoint,
    Gcp,
    Image,
    Latency,
    Release,
    Section,
    Serving,
    Training,
    lacking,
)

FILE = "deploy.toml"
# Source: the SageMaker API's ContainerDefinition, Environment: 1024 bytes for each key and each value.
MAX_ENTRIES, MAX_ENTRY_BYTES, MAX_ENVIRONMENT_BYTES = 100, 1024, 32 * 1024
DIGEST_ENTRY = "SLIPWAY_MANIFEST_SHA256"  # what a target adds to every container's environment
_VERSION_ENTRY = "SLIPWAY_CACHE_VERSION"
RESERVED = re.compile(r"(SLIPWAY|AIP)_.*|SAGEMAKER_(BIND_TO_PORT|BASE_DIR)")
SECRET_NAME = re.compile(
    r"(.*_)?(PASSWORD|PASSWD|SECRET|SECRET_KEY|SECRET_ACCESS_KEY|API_KEY|TOKEN)", re.IGNORECASE
)
# A secret's address is no secret, nor is a number of tokens.
NO_SECRET = re.compile(r"arn:aws.*|projects/[^/]+/secrets/.*|[\d.]*|true|false")


class ConfigError(ValueError):
    """deploy.toml cannot be used; the message has a line for each mistake: place, value, what is right."""


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
    # What both clouds take, as the value of a tag and of a label.
    owner: str = Field(
        default="",
        pattern=r"^[a-z0-9_-]{0,63}$",
        description="who pays, at most 63 of a-z, 0-9, '_' and '-'",
        examples=["forecasts"],
    )
    # One of the two is there; `check_cloud` says whether it is that of the cloud that a verb speaks to.
    aws: Aws = Field(default_factory=_absent)
    gcp: Gcp = Field(default_factory=_absent)
    image: Image = Image()
    serving: Serving = Serving()
    endpoint: Endpoint = Endpoint()
    release: Release | None = None
    batch: Batch = Batch()
    check: Check = Check()
    latency: Latency = Latency()
    training: Training = Training()
    environment: dict[str, str] = {}
    # No setting: of one deploy alone, whose TTL began when it was given.
    _expires: datetime | None = PrivateAttr(default=None)

    @property
    def expires(self) -> datetime | None:
        """When this deployment is to remove its endpoint itself, in UTC; None if never."""
        return self._expires

    def ending(self, moment: datetime | None) -> Self:
        """The same, for a deployment that ends then."""
        copy = self.model_copy()
        copy._expires = moment
        return copy

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
    wrong = _lacking(config, cloud)
    if wrong:
        raise ConfigError("\n".join(f"{FILE}: {sentence}" for sentence in wrong))


def _lacking(config: Config, cloud: str) -> list[str]:
    if cloud == "aws":
        return lacking.on_aws(config.endpoint, config.aws)
    return lacking.on_gcp(config.endpoint, config.gcp)


def container_environment(config: Config) -> dict[str, str]:
    """What the container gets from deploy.toml: [environment] as it is, [serving] as SLIPWAY_* settings."""
    limits = config.serving.model_dump(exclude_none=True)
    environment = config.environment | {f"SLIPWAY_{key.upper()}": str(value) for key, value in limits.items()}
    return environment | ({_VERSION_ENTRY: _deployment(config)} if config.serving.cache_url else {})


def _deployment(config: Config) -> str:
    """A digest of what answers depend on beside the archive: a shared cache gives none of another's."""
    images = [cloud.image for cloud in (config.aws, config.gcp) if cloud]
    told = json.dumps([sorted(config.environment.items()), config.serving.handler, images])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


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
    where = f"[{'.'.join(sections)}]: " if sections else ""
    text = _missing(section, key) if mistake["type"] == "missing" else ""
    if mistake["type"] == "extra_forbidden":
        text = _unknown(section, key, mistake["input"])
    if mistake["type"] == "value_error":
        # The entries of a container are checked all together: that is a mistake in [environment].
        at = ".".join(str(name) for name in mistake["loc"]) or "environment"
        return "\n".join(f"{FILE}: [{at}]: {line}" for line in str(mistake["ctx"]["error"]).splitlines())
    return f"{FILE}: {where}{text or _wrong(section, key, mistake['input'])}"


def _section(path: list[str]) -> dict[str, FieldInfo]:
    """The fields of a section, or of one within it; none of what is no section."""
    fields: dict[str, FieldInfo] = Config.model_fields
    for name in path:
        kind = fields[name].annotation if name in fields else None
        kinds = [one for one in (kind, *get_args(kind)) if isinstance(one, type) and issubclass(one, Section)]
        fields = kinds[0].model_fields if kinds else {}
    return fields


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
