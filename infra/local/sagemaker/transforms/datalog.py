"""A job's data log: one stream for each instance, with lines in SageMaker's form."""

from __future__ import annotations

from datetime import UTC, datetime

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker.logs import LogStream
from infra.local.sagemaker.transforms.parameters import Parameters

GROUP = "/aws/sagemaker/TransformJobs"


class DataLog:
    """What SageMaker itself says of an instance's work. Its methods may be called from any thread."""

    def __init__(self, cloud: Cloud, caller: Caller, stream: str) -> None:
        self._log = LogStream(cloud, caller, GROUP, stream)

    def parameters(self, chosen: Parameters) -> None:
        """The first line: how the container is fed."""
        self._write(
            f"MaxConcurrentTransforms={chosen.concurrent}, MaxPayloadInMB={chosen.payload_mb}, "
            f"BatchStrategy={chosen.strategy}"
        )

    def failed(self, place: str, lines: tuple[str, ...]) -> None:
        """Why an object (`bucket/key`) failed."""
        for line in lines:
            self._write(f"{place}: {line}")

    def close(self) -> None:
        """Returns when every line can be read."""
        self._log.close()

    def _write(self, line: str) -> None:
        self._log.write(f"{stamp(datetime.now(UTC))}:[sagemaker logs]: {line}")


def stamp(moment: datetime) -> str:
    """The time as these lines have it: milliseconds, no zone."""
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds")
