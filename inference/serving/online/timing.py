"""Where the time of one request went, told in its answer to who asks for it.

A caller asks with the header `Slipway-Timing: 1` and is told in `Server-Timing`. Through SageMaker nothing
but the custom attributes comes back, so there it asks with the attribute `slipway-timing`, and they tell it.
Sources: www.w3.org/TR/server-timing,
docs.aws.amazon.com/sagemaker/latest/APIReference/API_runtime_InvokeEndpoint.html
"""

from __future__ import annotations

from dataclasses import replace

from inference.serving.counting.board import PHASES
from inference.serving.exchange import Reply
from inference.serving.predictor import Phases

ASKED = b"slipway-timing"
ATTRIBUTES = b"x-amzn-sagemaker-custom-attributes"


def is_asked(headers: dict[bytes, bytes]) -> bool:
    """Whether the caller wants to be told."""
    return ASKED in headers or ASKED in headers.get(ATTRIBUTES, b"").lower()


def told(reply: Reply, headers: dict[bytes, bytes], phases: Phases, shared: int) -> Reply:
    """The reply with its phases in milliseconds, and how many requests `shared` its call (0: none, it was in
    the cache)."""
    spent = [(name, phases[name] * 1000) for name in PHASES if name in phases]
    how = "hit" if not shared else "miss"
    if ASKED in headers:
        listed = [f"{name};dur={ms:.3f}" for name, ms in spent]
        text = ", ".join([*listed, f'batch;desc="{shared}"', f'cache;desc="{how}"'])
        return replace(reply, headers=(*reply.headers, (b"server-timing", text.encode())))
    listed = [f"{name}={ms:.3f}" for name, ms in spent]
    text = ",".join(["slipway-timing", *listed, f"batch={shared}", f"cache={how}"])
    return replace(reply, headers=(*reply.headers, (ATTRIBUTES, text.encode())))
