"""What of the local cloud can be set: ports, places, limits and times, each by a SLIPWAY_LOCAL_* variable.

The defaults are the real platform's; a test scales the times down and need not wait for them.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KIT_ROOT = Path(__file__).resolve().parents[2]
PREFIX = "SLIPWAY_LOCAL_"
SERVE = (sys.executable, "-m", "inference.serving", "serve")
TRAIN = ("python3", "/opt/ml/input/data/code/launch.py")
MIB = 1024 * 1024
Scale = float
Tool = str
PROCESS = "process"
TOOLS = (PROCESS, "podman", "docker")


class SettingError(ValueError):
    """A SLIPWAY_LOCAL_* variable cannot be read; the message names it, its value, and what would be right."""


@dataclass(frozen=True)
class Settings:
    """One local cloud's settings. Times are seconds, sizes are bytes. See `from_environment`."""

    home: Path = KIT_ROOT / ".local"  # state file, log, lock, container directories
    port: int = 4577  # 0: any free port
    account_id: str = "123456789012"
    container_command: tuple[str, ...] = SERVE  # what an image does with `serve`
    images: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)  # URI prefix -> command
    python_path: Path = KIT_ROOT  # PYTHONPATH of a container
    training_command: tuple[str, ...] = TRAIN  # what an image does with `train`
    containers: Tool = PROCESS  # or podman, docker: they run the image itself, and no command of these

    startup_health_s: float = 480.0
    ping_timeout_s: float = 2.0
    ping_interval_s: float = 5.0  # between pings of a container in service
    start_poll_s: float = 0.03  # between pings of a container that starts
    invocation_timeout_s: float = 60.0
    stream_timeout_s: float = 480.0
    stop_grace_s: float = 30.0
    creating_s: float = 0.0  # the least time an endpoint is Creating
    updating_s: float = 0.0  # the least time an endpoint is Updating
    time_scale: Scale = 1.0  # of the waits of rollouts, alarms and autoscaling: 0.01 makes a minute 0.6 s
    image_build_s: float = 0.0  # the least time that the build of an image takes
    training_stop_grace_s: float = 120.0  # a training job's time to save after SIGTERM
    checkpoint_interval_s: float = 5.0  # between copies of a training job's checkpoints to S3

    transform_startup_s: float = 1800.0  # source: amazon-sagemaker-examples issue 815
    transform_instances: int = 20  # of one transform job: the account's quota

    health_interval_s: float = 10.0  # between Vertex AI's checks of a container that serves
    health_timeout_s: float = 10.0
    deployment_timeout_s: float = 1800.0  # a Vertex AI model's, where its containerSpec sets none
    shared_timeout_s: float = 60.0  # of a prediction on a shared endpoint
    dedicated_timeout_s: float = 600.0  # likewise, where the endpoint sets none
    shared_payload_bytes: int = 1_500_000
    dedicated_payload_bytes: int = 10_000_000

    payload_bytes: int = 25 * MIB
    serverless_payload_bytes: int = 4 * MIB
    serverless_startup_s: float = 180.0
    serverless_idle_s: float = 300.0  # after which an idle container ends; AWS's own time is not known
    async_payload_bytes: int = 1024 * MIB
    archive_bytes: int = 50 * 1024 * MIB  # a model unpacked
    archive_members: int = 100_000

    @property
    def places(self) -> Path:
        """Where containers have their private directories; what is there at the start is removed."""
        return self.home / "containers"

    def command_of(self, image: str) -> tuple[str, ...]:
        """The command that a container of this image runs: that of the longest prefix in `images`."""
        prefixes = [prefix for prefix in self.images if image.startswith(prefix)]
        return self.images[max(prefixes, key=len)] if prefixes else self.container_command


def from_environment(environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings that the SLIPWAY_LOCAL_* variables give: the field's name in capitals after the prefix.

    `container_command` is a JSON list of strings, `images` a JSON object of image prefix to such a list,
    everything else is plain text. Raises SettingError for an unknown name or a value that cannot be read.
    """
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    given: dict[str, Any] = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        name = variable.removeprefix(PREFIX).lower()
        if name not in fields:
            known = ", ".join(PREFIX + known.upper() for known in sorted(fields))
            raise SettingError(f"{variable}: no such setting, expected one of {known}")
        given[name] = _read(variable, text, str(fields[name].type))
    return Settings(**given)


def _read(variable: str, text: str, kind: str) -> Any:
    expected, read = _READERS[kind]
    try:
        if variable == PREFIX + "ACCOUNT_ID":
            return _account_id(text)
        return read(text)
    except ValueError as error:
        what = "12 digits" if variable == PREFIX + "ACCOUNT_ID" else expected
        raise SettingError(f"{variable}={text!r}: expected {what}") from error


def _account_id(text: str) -> str:
    if not (len(text) == 12 and text.isascii() and text.isdigit()):
        raise ValueError(text)
    return text


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError(text)
    return value


def _scale(text: str) -> float:
    value = _seconds(text)
    if not value:
        raise ValueError(text)
    return value


def _tool(text: str) -> str:
    if text not in TOOLS:
        raise ValueError(text)
    return text


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise ValueError(text)
    return value


def _path(text: str) -> Path:
    if not text:
        raise ValueError(text)
    return Path(text).expanduser().resolve()


def _command(text: str) -> tuple[str, ...]:
    return _as_command(json.loads(text))


def _as_command(value: object) -> tuple[str, ...]:
    if not (isinstance(value, list) and value and all(isinstance(word, str) for word in value)):
        raise ValueError(value)
    return tuple(value)


def _commands(text: str) -> dict[str, tuple[str, ...]]:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError(value)
    return {prefix: _as_command(command) for prefix, command in value.items()}


# By the field's annotation as written above.
_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "Path": ("a path", _path),
    "int": ("a whole number, 0 or more", _count),
    "float": ("seconds, 0 or more", _seconds),
    "Scale": ("a factor above 0, such as 0.01", _scale),
    "str": ("text", str),
    "Tool": (" or ".join(TOOLS), _tool),
    "tuple[str, ...]": ('a JSON list of strings such as ["python", "serve.py"]', _command),
    "Mapping[str, tuple[str, ...]]": (
        'a JSON object of image prefix to command such as {"1.dkr": ["python"]}',
        _commands,
    ),
}
