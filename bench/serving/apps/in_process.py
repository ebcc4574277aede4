"""The handler without a server: what it answers, how long it takes to load, how fast a bare loop can be.

    load                     import, load
    answers FILE INDEX N     the predictions for the first N bodies, as JSON
    loop FILE INDEX S SIZES  rows a second and CPU a row at each batch size, S seconds each, as JSON

Once the model is loaded it says "ready", and goes on when a line comes: so several, one process each, begin
together.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from bench.serving.apps import handling


def main(arguments: list[str]) -> None:
    verb, *rest = arguments
    predict = handling.loaded()
    print("ready", flush=True)
    sys.stdin.readline()
    if verb == "answers":
        file, index, count = rest
        print(
            json.dumps([predict(handling.decode(body)) for body in islice(_bodies(file, index), int(count))])
        )
    elif verb == "loop":
        file, index, seconds, sizes = rest
        rows = [_row(body) for body in islice(_bodies(file, index), 2048)]
        found = {size: _rate(predict, rows, int(size), float(seconds)) for size in sizes.split(",")}
        print(json.dumps(found))


def _bodies(file: str, index: str) -> Any:
    data = Path(file).read_bytes()
    for line in Path(index).read_text().splitlines():
        start, length = map(int, line.split())
        yield data[start : start + length]


def _row(body: bytes) -> Any:
    """An instance as the loop likes it best: an array already, where the model takes arrays."""
    instance = handling.decode(body)[0]
    return instance if handling.MODEL == "encoder" else np.asarray(instance, dtype=np.float32)


def _rate(predict: handling.Predict, rows: list[Any], size: int, seconds: float) -> tuple[float, float]:
    """(rows a second, CPU seconds a row) in calls of `size` rows."""
    coming = cycle(rows)
    predict(list(islice(coming, size)))
    calls, start, used = 0, time.perf_counter(), time.process_time()
    while (elapsed := time.perf_counter() - start) < seconds or not calls:
        predict(list(islice(coming, size)))
        calls += 1
    elapsed = time.perf_counter() - start
    return calls * size / elapsed, (time.process_time() - used) / (calls * size)


if __name__ == "__main__":
    main(sys.argv[1:])
