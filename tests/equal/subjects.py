"""What is asked: two handlers, their models, and samples as every content type that both clouds carry."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from inference.serving import codecs
from inference.serving.codecs import inputs, media
from training import train

KIT = Path(__file__).parents[2]
JSON, JSON_LINES, CSV = "application/json", "application/jsonlines", "text/csv"
HEADED, NPY, PARQUET = "text/csv; header=present", "application/x-npy", "application/vnd.apache.parquet"
# Multiplies every number, however deep it lies, and marks every text.
NUMBERS = """\
import json
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def predict(self, inputs):
        return [self.scaled(one) for one in inputs]

    def scaled(self, one):
        if isinstance(one, list):
            return [self.scaled(part) for part in one]
        if isinstance(one, dict):
            return {name: self.scaled(part) for name, part in one.items()}
        if isinstance(one, str):
            return one + "!"
        return one if one is None or isinstance(one, bool) else self.factor * one
"""
# Each of them is a double, too, and so is its threefold: a shared endpoint can carry them all.
INSTANCES = [
    *(0, 1, -1, 2**31, 2**53, -(2**53), 2**60),
    *(0.1, -2.5, 3.0, 1e22, 5e-324, -1.25e-7),
    *("", "a", "Zürich", "日本 \U0001f600", "e\u0301", 'quote " \\ \n\t\x00', "1", "null"),
    *(True, False, None),
    *([], [1, [2.5, ["three", [None]]]], {}, {"b": 1, "a": {"c": [1.5, {"": "d"}]}, "Ü": None}),
]
ROWS = [[1, 2.5, "a"], [2**53, -0.125, 'quote " and, comma'], [-3, 1e-7, "Zürich"]]
COLUMNS = ["whole", "part", "text"]


@dataclass(frozen=True)
class Subject:
    """A project's own files, and a body for each content type."""

    name: str
    handler: str
    write_model: Callable[[Path], None]
    instances: list[Any]
    bodies: dict[str, bytes]

    def expected(self, model: Path, content_type: str) -> bytes:
        """What the handler itself answers to the body, called in this process, as the bytes of an answer."""
        kind = media.content_type(content_type)
        decoded = codecs.decode(self.bodies[content_type], kind)
        given = inputs.to_list(decoded.instances)
        if kind.format in (JSON, JSON_LINES):
            assert given == self.instances
        return codecs.encode(self.direct(model, given), decoded.shape, media.accepted("", kind.format).format)

    def direct(self, model: Path, instances: Any) -> list[Any]:
        """The handler's own steps, one after the other."""
        spec = importlib.util.spec_from_file_location(f"handler_of_{self.name}", model / "handler.py")
        assert spec and spec.loader
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        handler = module.Handler()
        handler.load(str(model))
        for step in ("preprocess", "predict", "postprocess"):
            instances = getattr(handler, step, lambda given: given)(instances)
        return list(instances)


def json_bodies(instances: list[Any]) -> dict[str, bytes]:
    lines = "".join(json.dumps(one) + "\n" for one in instances)
    return {JSON: json.dumps({"instances": instances}).encode(), JSON_LINES: lines.encode()}


def table_bodies(columns: Sequence[str], rows: list[list[Any]]) -> dict[str, bytes]:
    """CSV without and with a header, and Parquet."""
    table, file = pa.Table.from_pylist([dict(zip(columns, row, strict=True)) for row in rows]), io.BytesIO()
    pq.write_table(table, file)
    return {CSV: comma(rows), HEADED: comma([list(columns), *rows]), PARQUET: file.getvalue()}


def comma(rows: list[list[Any]]) -> bytes:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue().encode()


def array_body(array: np.ndarray) -> dict[str, bytes]:
    file = io.BytesIO()
    np.save(file, array)
    return {NPY: file.getvalue()}


def write_weights(folder: Path) -> None:
    (folder / "weights.json").write_text('{"factor": 3}')


def write_flights(folder: Path) -> None:
    """A model of the example's that has learned nothing: what it answers is the same wherever it is asked."""
    torch.manual_seed(4)
    categories = {name: ["EWR", "UA", "TPA"] for name in train.CATEGORIES}
    numbers = {name: {"mean": 10.0, "scale": 100.0} for name in train.NUMBERS}
    settings = {
        **{"fields": train.FIELDS, "nullable": train.WEATHER, "categories": categories, "numbers": numbers},
        **{"limit": train.LIMIT, "minutes": train.MINUTES, "quantiles": train.QUANTILES},
        "typical": [1.0, -20.0, 40.0],
    }
    network = train.Network([len(known) + 1 for known in categories.values()], hidden=16)
    train.save(network, settings, folder)


def numbers() -> Subject:
    bodies = {**json_bodies(INSTANCES), **table_bodies(COLUMNS, ROWS)}
    array = np.array([[1, 2**53], [-3, 2**60]])
    return Subject("numbers", NUMBERS, write_weights, INSTANCES, {**bodies, **array_body(array)})


def flights() -> Subject:
    """The example that ships, with the samples that ship with it."""
    lines = (KIT / "inference/samples.jsonl").read_text().splitlines()
    samples = [json.loads(line) for line in lines]
    rows = [[one[name] for name in train.FIELDS] for one in samples]
    handler = (KIT / "inference/handler.py").read_text()
    bodies = {**json_bodies(samples), **table_bodies(train.FIELDS, rows)}
    return Subject("flights", handler, write_flights, samples, bodies)


ALL = {one.name: one for one in (flights(), numbers())}
