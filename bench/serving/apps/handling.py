"""The workload's handler, as every program under test calls it, and what the bench tells those programs.

Each runs in an environment of its own, so this imports nothing of the kit. A peer gets what its users would
write with care: one torch thread a worker, orjson, and batches where the peer can batch.
"""

from __future__ import annotations

import importlib
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch

MODEL_DIR = Path(os.environ["BENCH_MODEL_DIR"])
MODEL = os.environ["BENCH_MODEL"]  # tiny, encoder or image
PORT = int(os.environ.get("BENCH_PORT", 0))
WORKERS = int(os.environ.get("BENCH_WORKERS", 1))
# For what a program writes before it can start; gone when it has ended.
SCRATCH = Path(os.environ.get("BENCH_SCRATCH", "."))
BATCH = {"tiny": 64, "encoder": 16, "image": 8}[MODEL]
BATCH_WAIT_S = 0.005
JSON = "application/json"

Instances = list[Any]
Predict = Callable[[Instances], list[Any]]


def loaded() -> Predict:
    """Load the handler; a function from a list of instances to a list of plain predictions."""
    # Two workers with two threads each, on two cores: far slower than one thread each.
    torch.set_num_threads(1)
    # By its name, as a user imports it: some servers pickle what they serve.
    sys.path.insert(0, str(MODEL_DIR / "code"))
    handler = importlib.import_module("handler").Handler()
    handler.load(str(MODEL_DIR))
    return partial(_predictions, handler)


def _predictions(handler: Any, instances: Instances) -> list[Any]:
    found: list[Any] = handler.predict(_inputs(instances)).tolist()
    return found


def _inputs(instances: Instances) -> Any:
    if MODEL == "encoder":
        return list(instances)
    return torch.from_numpy(np.asarray(instances, dtype=np.float32))


def decode(body: bytes) -> Instances:
    """The instances in a request's body: npy for the image, JSON for the others."""
    if MODEL == "image":
        return list(np.load(io.BytesIO(body)))
    instances: Instances = orjson.loads(body)["instances"]
    return instances


def encode(predictions: list[Any]) -> bytes:
    """The body of an answer, in JSON."""
    return orjson.dumps({"predictions": predictions})


def split(predictions: list[Any], requests: list[Instances]) -> list[list[Any]]:
    """One call's predictions, given back to the requests whose instances went into it."""
    rest = iter(predictions)
    return [[next(rest) for _ in instances] for instances in requests]
