"""What is asked of every server: four workloads, the bodies of their requests, and the models that answer.

The fourth, zipf, asks the encoder as people do: a few questions often, most of them once. It is for caches.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.serving.sentences import sentences

HANDLERS = Path(__file__).parent / "handlers"
JSON, NPY = "application/json", "application/x-npy"
ROWS, PICTURES = 500, 8
ZIPF_REQUESTS, ZIPF_SLOPE = 20_000, 1.1
_ENCODER_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")


@dataclass(frozen=True)
class Workload:
    """A kind of request. `model` names its handler; the bare loop is tried at each of `batch_sizes`."""

    name: str
    model: str
    content_type: str
    batch_sizes: tuple[int, ...]


WORKLOADS = {
    one.name: one
    for one in (
        Workload("tiny", "tiny", JSON, (1, 8, 32, 128, 512, 2048)),
        Workload("encoder", "encoder", JSON, (1, 2, 4, 8, 16, 32)),
        Workload("image", "image", NPY, (1, 2, 4, 8, 16)),
        Workload("zipf", "encoder", JSON, (1, 2, 4, 8, 16, 32)),
    )
}


@dataclass(frozen=True)
class Bodies:
    """Bodies in one file, and an index with `offset length` on a line for each request, in their order."""

    file: Path
    index: Path


@dataclass(frozen=True)
class Prepared:
    """A workload on disk: its model's folder, and its bodies by their form (`instances`, `v2`)."""

    workload: Workload
    model: Path
    bodies: dict[str, Bodies]


def prepare(workload: Workload, weights: Callable[[], Path], folder: Path) -> Prepared:
    """Write it below `folder`. `weights` tells where the encoder's lie; it is asked for the encoder alone."""
    model = folder / "models" / workload.model
    if not model.exists():
        write_model(workload.model, weights, model)
    place = folder / workload.name
    place.mkdir()
    forms = {"instances": _bodies(workload), "v2": [_as_v2(body, workload) for body in _bodies(workload)]}
    order = _zipf(len(forms["instances"])) if workload.name == "zipf" else None
    return Prepared(
        workload, model, {form: _written(place / form, made, order) for form, made in forms.items()}
    )


def write_model(name: str, weights: Callable[[], Path], folder: Path) -> None:
    """A model's folder as a container has it: weights, and in code/ its handler and the samples."""
    (folder / "code").mkdir(parents=True)
    shutil.copy(HANDLERS / f"{name}.py", folder / "code" / "handler.py")
    if name == "encoder":
        for file in _ENCODER_FILES:
            shutil.copy(weights() / file, folder)
    else:
        _write_weights(name, folder / "weights.pt")
    if name != "image":  # its samples would be megabytes of JSON
        samples = [json.dumps(instance) for instance in instances(name)[:2]]
        (folder / "code" / "samples.jsonl").write_text("\n".join(samples) + "\n")


def _write_weights(name: str, path: Path) -> None:
    import torch  # seconds

    from bench.serving.handlers.image import network

    torch.manual_seed(0)
    made = (
        network()
        if name == "image"
        else torch.nn.Sequential(torch.nn.Linear(64, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10))
    )
    torch.save(made.state_dict(), path)


def instances(name: str) -> Sequence[object]:
    """What a model is asked, one after the other."""
    if name == "encoder":
        return sentences()
    rows: list[object] = np.random.default_rng(0).random((ROWS, 64)).round(4).tolist()
    return rows


def _bodies(workload: Workload) -> list[bytes]:
    if workload.content_type == NPY:
        return [_picture(number) for number in range(PICTURES)]
    return [json.dumps({"instances": [instance]}).encode() for instance in instances(workload.model)]


def _picture(number: int) -> bytes:
    pixels = np.random.default_rng(number).standard_normal((1, 3, 224, 224), dtype=np.float32)
    file = io.BytesIO()
    np.save(file, pixels)
    return file.getvalue()


def _as_v2(body: bytes, workload: Workload) -> bytes:
    """The same question in the Open Inference Protocol, which some servers speak alone."""
    tensor: dict[str, object]
    if workload.content_type == NPY:
        data = [base64.b64encode(body).decode()]
        tensor = {
            "shape": [1, 1],
            "datatype": "BYTES",
            "parameters": {"content_type": "base64"},
            "data": data,
        }
    elif workload.model == "encoder":
        tensor = {"shape": [1, 1], "datatype": "BYTES", "data": json.loads(body)["instances"]}
    else:
        tensor = {"shape": [1, 64], "datatype": "FP32", "data": json.loads(body)["instances"][0]}
    return json.dumps({"inputs": [{"name": "instances", **tensor}]}).encode()


def _zipf(count: int) -> list[int]:
    """Which body each request sends: the one of rank k with a weight of 1 / k ** ZIPF_SLOPE."""
    weights = [1 / rank**ZIPF_SLOPE for rank in range(1, count + 1)]
    return random.Random(0).choices(range(count), weights, k=ZIPF_REQUESTS)


def _written(path: Path, bodies: list[bytes], order: list[int] | None) -> Bodies:
    path.write_bytes(b"".join(bodies))
    starts = list(itertools.accumulate(map(len, bodies), initial=0))
    index = path.with_suffix(".index")
    chosen = range(len(bodies)) if order is None else order
    index.write_text("".join(f"{starts[number]} {len(bodies[number])}\n" for number in chosen))
    return Bodies(path, index)


def read_bodies(bodies: Bodies, count: int) -> list[bytes]:
    """The bodies of the first `count` requests."""
    data = bodies.file.read_bytes()
    lines = itertools.islice(bodies.index.read_text().splitlines(), count)
    return [data[int(start) : int(start) + int(length)] for start, length in map(str.split, lines)]
