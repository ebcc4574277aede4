"""AWS's event stream frames, in which InvokeEndpointWithResponseStream answers.

A frame is two lengths, their CRC, headers, payload and the CRC of it all, in network order.
Source: https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Mapping

CONTENT_TYPE = "application/vnd.amazon.eventstream"
PRELUDE_AND_CHECKSUMS = 16
STRING_HEADER = 7
# A frame's payload is bounded by the service; a larger chunk is cut.
LARGEST_PAYLOAD = 1024 * 1024


def payload_part(chunk: bytes) -> bytes:
    """One piece of the container's answer as a PayloadPart event (several frames where it is large)."""
    headers = {
        ":event-type": "PayloadPart",
        ":content-type": "application/octet-stream",
        ":message-type": "event",
    }
    pieces = range(0, len(chunk), LARGEST_PAYLOAD)
    return b"".join(_frame(headers, chunk[at : at + LARGEST_PAYLOAD]) for at in pieces)


def stream_error(code: str, message: str) -> bytes:
    """An answer that broke off after it began: the ModelStreamError event, which SDKs raise."""
    return _exception("ModelStreamError", {"Message": message, "ErrorCode": code})


def internal_failure(message: str) -> bytes:
    """An answer that the service itself broke off: the InternalStreamFailure event."""
    return _exception("InternalStreamFailure", {"Message": message})


def _exception(kind: str, document: Mapping[str, str]) -> bytes:
    headers = {
        ":exception-type": kind,
        ":content-type": "application/json",
        ":message-type": "exception",
    }
    return _frame(headers, json.dumps(document).encode())


def _frame(headers: Mapping[str, str], payload: bytes) -> bytes:
    block = b"".join(_header(name, value) for name, value in headers.items())
    prelude = struct.pack(">II", PRELUDE_AND_CHECKSUMS + len(block) + len(payload), len(block))
    message = prelude + struct.pack(">I", zlib.crc32(prelude)) + block + payload
    return message + struct.pack(">I", zlib.crc32(message))


def _header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return bytes([len(name)]) + name.encode() + struct.pack(">BH", STRING_HEADER, len(encoded)) + encoded
