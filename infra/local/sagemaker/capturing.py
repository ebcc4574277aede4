"""Data capture: requests and answers as lines in S3.

Source: developer guide, model-monitor-data-capture-endpoint. Not verified: how many lines a file has, how
often one is written, and whether requests that fail are captured (here they are not, nor are streams).
"""

from __future__ import annotations

import base64
import io
import json
import logging
import random
import threading
import uuid
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker.options import Capture

DELIVERED_EVERY_S = 60.0  # "can require a couple of minutes"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Message:
    """A body and its content type."""

    body: bytes
    content_type: str


@dataclass(frozen=True)
class Captured:
    """One request that was answered."""

    variant: str
    asked: Message
    answered: Message
    inference_id: str = ""


@dataclass(frozen=True)
class Shelf:
    """Where a variant's lines go, and in whose name."""

    caller: Caller
    prefix: str  # s3://BUCKET/…/ENDPOINT/VARIANT


class Captures:
    """Gathers lines and writes them; `take` may be called from any thread."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._lock = threading.Lock()
        self._lines: dict[Shelf, list[str]] = defaultdict(list)
        self._closed = threading.Event()
        threading.Thread(target=self._deliver, name="data capture", daemon=True).start()

    def take(self, capture: Capture, caller: Caller, endpoint: str, captured: Captured) -> None:
        """Keeps the request if it is in the sample; it is in S3 later, whatever comes."""
        if random.random() * 100 >= capture.percentage:  # noqa: S311 - a sample, no secret
            return
        shelf = Shelf(caller, f"{capture.destination}/{endpoint}/{captured.variant}")
        line = line_of(capture, captured, datetime.now(UTC))
        with self._lock:
            self._lines[shelf].append(line)

    def close(self) -> None:
        """Writes what is left."""
        self._closed.set()
        self._write()

    def _deliver(self) -> None:
        while not self._closed.wait(DELIVERED_EVERY_S * self._cloud.settings.time_scale):
            self._write()

    def _write(self) -> None:
        with self._lock:
            lines, self._lines = self._lines, defaultdict(list)
        for shelf, group in lines.items():
            bucket, _, prefix = shelf.prefix.removeprefix("s3://").partition("/")
            key = f"{prefix}/{name_of(datetime.now(UTC), str(uuid.uuid4()))}"
            try:
                self._cloud.put_object(shelf.caller, bucket, key, io.BytesIO("".join(group).encode()))
            except Exception:  # requests are answered all the same
                _log.exception("%d captured requests are lost: s3://%s/%s", len(group), bucket, key)


def name_of(now: datetime, unique: str) -> str:
    """The file's name below the variant: yyyy/mm/dd/hh/mm-ss-fff-UNIQUE.jsonl."""
    return f"{now:%Y/%m/%d/%H/%M-%S}-{now.microsecond // 1000:03}-{unique}.jsonl"


def line_of(capture: Capture, captured: Captured, now: datetime) -> str:
    """The request as a line with its newline."""
    data = {}
    if "Input" in capture.modes:
        data["endpointInput"] = _side(capture, captured.asked, "INPUT")
    if "Output" in capture.modes:
        data["endpointOutput"] = _side(capture, captured.answered, "OUTPUT")
    event = {"eventId": str(uuid.uuid4()), "inferenceTime": f"{now:%Y-%m-%dT%H:%M:%SZ}"}
    if captured.inference_id:
        event["inferenceId"] = captured.inference_id
    line = {"captureData": data, "eventMetadata": event, "eventVersion": "0"}
    return json.dumps(line, separators=(",", ":")) + "\n"


def _side(capture: Capture, message: Message, mode: str) -> dict[str, Any]:
    kind = message.content_type.partition(";")[0].strip()
    encoding = "CSV" if kind in capture.csv else "JSON" if kind in capture.json else "BASE64"
    try:
        text = message.body.decode() if encoding != "BASE64" else base64.b64encode(message.body).decode()
    except UnicodeDecodeError:
        encoding, text = "BASE64", base64.b64encode(message.body).decode()
    return {
        "observedContentType": message.content_type or None,
        "mode": mode,
        "data": text,
        "encoding": encoding,
    }
