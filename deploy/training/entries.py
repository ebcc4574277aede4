"""What may stand in [training.hyperparameters], [training.channels] and [training.metrics].

Each function takes a whole section as TOML has it and returns a sentence for each mistake in it. Pure.
The limits are SageMaker's on both clouds, so that a file which is right for one is right for the other.
Source: the SageMaker API's CreateTrainingJob (HyperParameters, InputDataConfig, MetricDefinitions).
"""

import math
import re
from collections import Counter
from collections.abc import Mapping

from deploy.denylist import find_secret

CODE = "code"  # the channel in which the script itself travels
KEY = re.compile(r"[A-Za-z0-9_.-]{1,256}")
CHANNEL = re.compile(r"[A-Za-z0-9_.-]{1,64}")
URI = re.compile(r"(s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]|gs://[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(/.*)?")
MAX_HYPERPARAMETERS, MAX_VALUE = 100, 2500
MAX_CHANNELS = 19  # 20 with the code's
MAX_METRICS, MAX_METRIC_NAME, MAX_REGEX = 40, 255, 500
_TAKEN = {CODE, "sm_drivers", "model"}  # by the kit, by the SDK's own driver, by SageMaker for a base model
_SECRET_NAME = re.compile(
    r"(.*[_.-])?(PASSWORD|PASSWD|SECRET|SECRET_KEY|SECRET_ACCESS_KEY|API_KEY|TOKEN)", re.IGNORECASE
)


def as_text(value: str | int | float | bool) -> str:
    """A hyperparameter as a job carries it: text; a truth value is `true` or `false`, as in TOML."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def wrong_hyperparameters(section: Mapping[str, object]) -> list[str]:
    """A sentence for each hyperparameter that a job could not be given."""
    wrong = [text for key, value in section.items() if (text := _wrong_hyperparameter(key, value))]
    return wrong + _too_many(section, MAX_HYPERPARAMETERS)


def wrong_channels(section: Mapping[str, object]) -> list[str]:
    """A sentence for each channel that has a wrong name or leads nowhere."""
    wrong = [text for key, value in section.items() if (text := _wrong_channel(key, value))]
    upper = Counter(key.upper() for key in section)
    twice = [key for key in section if upper[key.upper()] > 1]
    if twice:
        wrong.append(f"{' and '.join(twice)} would both be SM_CHANNEL_{twice[0].upper()}: rename one")
    return wrong + _too_many(section, MAX_CHANNELS)


def wrong_metrics(section: Mapping[str, object]) -> list[str]:
    """A sentence for each metric that could not be read from the log."""
    wrong = [text for key, value in section.items() if (text := _wrong_metric(key, value))]
    return wrong + _too_many(section, MAX_METRICS)


def wrong_channel_name(name: str) -> str:
    """What is wrong with a channel's name; empty if nothing is."""
    if not CHANNEL.fullmatch(name):
        return f"{name!r} is no channel's name, expected 1 to 64 letters, digits, '.', '-' and '_'"
    if name in _TAKEN:
        return f"{name} is a channel of Slipway's or SageMaker's own: give yours another name"
    return ""


def _wrong_hyperparameter(key: str, value: object) -> str:
    if not KEY.fullmatch(key) or key.startswith("-"):
        return (
            f"{key[:40]!r} is no hyperparameter's name, expected 1 to 256 letters, digits, '_', '.' and '-'"
        )
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        return f"{key} is {value!r}, expected text in quotes, a finite number, true or false"
    text = as_text(value)
    if not text.isprintable():
        return f"{key} is {value!r}, expected text on one line without control characters"
    if len(text) > MAX_VALUE:
        return f"{key} has {len(text)} characters, expected at most {MAX_VALUE}"
    if find_secret(text.encode()) or (isinstance(value, str) and _SECRET_NAME.fullmatch(key)):
        return (
            f"{key} looks like a secret, and whoever may describe the job could read it: "
            "keep it in the cloud's own store of secrets and let the script fetch it"
        )
    return ""


def _wrong_channel(key: str, value: object) -> str:
    if wrong := wrong_channel_name(key):
        return wrong
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        return f'{key} is {value!r}, expected a folder or a URI in quotes, such as "data/train"'
    if "://" in value and not URI.fullmatch(value):
        return f"{key} is {value!r}, expected a folder, s3://bucket/prefix or gs://bucket/prefix"
    return ""


def _wrong_metric(key: str, value: object) -> str:
    if not 1 <= len(key) <= MAX_METRIC_NAME or not key.isprintable():
        return f"{key[:40]!r} is no metric's name, expected 1 to {MAX_METRIC_NAME} characters"
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_REGEX or "\n" in value:
        return f"{key} is {value!r}, expected a regular expression of 1 to {MAX_REGEX} characters"
    try:
        groups = re.compile(value).groups
    except re.error as error:
        return f"{key} is {value!r}, which is no regular expression: {error}"
    if groups != 1:
        return f"{key} is {value!r} with {groups} groups, expected exactly one (…) around the number"
    return ""


def _too_many(section: Mapping[str, object], most: int) -> list[str]:
    return [f"{len(section)} entries, expected at most {most}"] if len(section) > most else []


SECTIONS = {
    "hyperparameters": wrong_hyperparameters,
    "channels": wrong_channels,
    "metrics": wrong_metrics,
}
