"""What an endpoint configuration says beside its variants: data capture and asynchronous inference. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
MODES = {"Input": ("Input",), "Output": ("Output",), "InputAndOutput": ("Input", "Output")}
# Of requests to one container at once, where SageMaker "chooses an optimal value"; which is not known.
CONCURRENT = 1


@dataclass(frozen=True)
class Capture:
    """A DataCaptureConfig. `csv` and `json` are the content types that are captured as text."""

    percentage: int
    destination: str  # an s3:// URI
    modes: frozenset[str]  # of Input and Output
    csv: frozenset[str] = frozenset()
    json: frozenset[str] = frozenset()
    key: str = ""


@dataclass(frozen=True)
class Queueing:
    """An AsyncInferenceConfig; places are s3:// URIs, topics ARNs of SNS, "" where there is none."""

    output: str
    failure: str = ""
    concurrent: int = CONCURRENT  # for each instance
    success_topic: str = ""
    error_topic: str = ""
    tells_answer_of: frozenset[str] = frozenset()  # IncludeInferenceResponseIn


@dataclass(frozen=True)
class Options:
    """What holds for all of an endpoint; `given` is the AsyncInferenceConfig as it was asked for."""

    capture: Capture | None = None
    queueing: Queueing | None = None
    given: Json | None = None
    is_encrypted: bool = False


def options_of(config: Json) -> Options:
    """The options in DescribeEndpointConfig's answer."""
    given = config.get("AsyncInferenceConfig")
    return Options(
        capture=_capture(config.get("DataCaptureConfig") or {}),
        queueing=_queueing(given) if given else None,
        given=given,
        is_encrypted=bool(config.get("KmsKeyId")),
    )


def _capture(given: Json) -> Capture | None:
    if not given or not given.get("EnableCapture", True):
        return None
    types = given.get("CaptureContentTypeHeader") or {}
    return Capture(
        percentage=given["InitialSamplingPercentage"],
        destination=given["DestinationS3Uri"].rstrip("/"),
        modes=frozenset(mode for one in given["CaptureOptions"] for mode in MODES[one["CaptureMode"]]),
        csv=frozenset(types.get("CsvContentTypes", ())),
        json=frozenset(types.get("JsonContentTypes", ())),
        key=given.get("KmsKeyId", ""),
    )


def _queueing(given: Json) -> Queueing:
    output = given["OutputConfig"]
    topics = output.get("NotificationConfig") or {}
    client = given.get("ClientConfig") or {}
    return Queueing(
        output=output.get("S3OutputPath", "").rstrip("/"),
        failure=output.get("S3FailurePath", "").rstrip("/"),
        concurrent=client.get("MaxConcurrentInvocationsPerInstance", CONCURRENT),
        success_topic=topics.get("SuccessTopic", ""),
        error_topic=topics.get("ErrorTopic", ""),
        tells_answer_of=frozenset(topics.get("IncludeInferenceResponseIn", ())),
    )
