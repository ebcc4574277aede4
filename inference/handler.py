"""Answers how late a flight will arrive: the model of training/train.py behind Slipway's four steps.

One instance is a JSON object:

    {"carrier": "UA", "origin": "EWR", "dest": "IAH", "scheduled_departure": "2013-11-01T05:15",
     "distance": 1400, "temp": 66.9, "dewp": 64.9, "humid": 93.3, "wind_speed": 16.1, "precip": 0,
     "pressure": 1006.4, "visib": 10}

or the same values as a list (a CSV row) in that order. The departure is local time, the distance in miles.
The weather is the last observed at the origin: temperature and dew point in °F, humidity in %, wind in mph,
rain in inches, pressure in millibar, visibility in miles; each may be null. A carrier or an airport that the
training did not see is served as an average one.

The answer is {"arr_delay": 12, "low": -21, "high": 48}: whole minutes, and the range that holds 8 of 10.
"""

import json
import math
from datetime import datetime
from pathlib import Path
from reprlib import repr as shown
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import embedding, linear

EXAMPLES = {"carrier": "UA", "origin": "EWR", "dest": "IAH"}
LARGEST = 1_000_000


class Handler:
    def load(self, model_dir: str) -> None:
        torch.set_num_threads(1)  # requests share the cores: one that takes them all slows the others
        folder = Path(model_dir)
        self.settings = json.loads((folder / "model.json").read_text(encoding="utf-8"))
        self.codes = {
            name: {value: code for code, value in enumerate(values, 1)}
            for name, values in self.settings["categories"].items()
        }
        self.mean = np.array([number["mean"] for number in self.settings["numbers"].values()])
        self.scale = np.array([number["scale"] for number in self.settings["numbers"].values()])
        weights = load_file(folder / "model.safetensors")
        self.tables = [weights[f"tables.{i}.weight"] for i in range(len(self.codes))]
        layers = sorted(name.removesuffix(".bias") for name in weights if name.endswith(".bias"))
        self.layers = [(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in layers]

    def preprocess(self, instances: list[Any]) -> Tensor:
        """float32 [instances, categories + numbers]: the rows that train.py makes of the same flights.

        ValueError names the instance, the field, its value and what would be right.
        """
        rows = np.empty((len(instances), len(self.codes) + len(self.mean)))
        for place, instance in enumerate(instances):
            try:
                rows[place] = self._row(instance)
            except ValueError as error:
                raise ValueError(f"instances[{place}]: {error}") from None
        numbers, limit = rows[:, len(self.codes) :], self.settings["limit"]
        scaled = ((numbers - self.mean) / self.scale).clip(-limit, limit)
        numbers[:] = np.nan_to_num(scaled)  # what is missing counts as the mean
        return torch.from_numpy(rows.astype(np.float32))

    def predict(self, rows: Tensor) -> Tensor:
        """float32 [instances, 3], in minutes: the estimate, the lower and the upper quantile."""
        with torch.inference_mode():
            codes = rows[:, : len(self.tables)].long()
            embedded = [embedding(codes[:, i], table) for i, table in enumerate(self.tables)]
            hours = torch.cat([*embedded, rows[:, len(self.tables) :]], dim=1)
            for weight, bias in self.layers[:-1]:
                hours = torch.relu(linear(hours, weight, bias))
            return linear(hours, *self.layers[-1]).mul(self.settings["minutes"])

    def postprocess(self, minutes: Tensor) -> list[dict[str, int]]:
        """Whole minutes that can be true: a figure that is no number becomes the typical flight's, quantiles
        that crossed change places, an estimate outside its own range moves to the range's edge."""
        figures = minutes.double().numpy()
        figures = np.where(np.isfinite(figures), figures, self.settings["typical"])
        low, high = figures[:, 1:].min(axis=1), figures[:, 1:].max(axis=1)
        whole = np.rint(np.stack([figures[:, 0].clip(low, high), low, high], axis=1)).astype(int)
        return [{"arr_delay": delay, "low": least, "high": most} for delay, least, most in whole.tolist()]

    def _row(self, instance: Any) -> list[float]:
        """One instance's category codes (0: not seen in training), then its numbers (NaN: missing)."""
        given = self._by_name(instance)
        departure = local_time("scheduled_departure", given["scheduled_departure"])
        known: dict[str, Any] = {
            "weekday": departure.weekday(),
            "departure_minute": departure.hour * 60 + departure.minute,
        }
        for name in EXAMPLES:
            known[name] = text(name, given[name])
        for name in self.settings["numbers"].keys() - known.keys():
            known[name] = number(name, given[name], nullable=name in self.settings["nullable"])
        codes = [codes.get(known[name], 0) for name, codes in self.codes.items()]
        return [*codes, *(known[name] for name in self.settings["numbers"])]

    def _by_name(self, instance: Any) -> dict[str, Any]:
        fields = self.settings["fields"]
        if isinstance(instance, list | tuple):
            if len(instance) != len(fields):
                raise ValueError(f"a list of {len(instance)}; expected {len(fields)}: {', '.join(fields)}")
            return dict(zip(fields, instance, strict=True))
        if not isinstance(instance, dict):
            raise ValueError(f"{shown(instance)}; expected an object or a list with {', '.join(fields)}")
        for name in fields:
            if name not in instance:
                raise ValueError(f"field {name} is missing; expected {', '.join(fields)}")
        return instance


def text(field: str, value: Any) -> str:
    if isinstance(value, str) and value:
        return value
    raise ValueError(f"field {field} is {shown(value)}; expected a code such as {EXAMPLES[field]!r}")


def number(field: str, value: Any, nullable: bool) -> float:
    if value is None and nullable:
        return math.nan
    if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= LARGEST:
        return float(value)
    unknown = ", or null where it is not known" if nullable else ""
    raise ValueError(f"field {field} is {shown(value)}; expected a number up to {LARGEST:,}{unknown}")


def local_time(field: str, value: Any) -> datetime:
    """A date alone would pass for midnight and a time zone would be ignored: both are refused."""
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment and moment.tzinfo is None and len(value) >= len("2013-11-01T05:15"):
        return moment
    raise ValueError(f"field {field} is {shown(value)}; expected a local time such as '2013-11-01T05:15'")
