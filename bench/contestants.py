"""The batch benchmark's yardstick and its peers, each a program of its own: one file of JSON Lines, scored.

    python -m bench.contestants bare MODEL INPUT OUTPUT

MODEL is an unpacked archive: weights, and the handler in code/. All of them call the same handler on as many
flights at once, and each prints the seconds that scoring took, without its imports and the model's loading.
"""

import argparse
import importlib
import sys
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import orjson

CHUNK = 4096  # flights in one call of the handler


def bare(model: Path, source: Path, out: Path) -> float:
    """What any batch engine is held against: the handler, called in a loop."""
    handler = loaded(model)
    start = time.perf_counter()
    with source.open("rb") as lines, out.open("wb") as file:
        while chunk := list(islice(lines, CHUNK)):
            answers = predictions(handler, [orjson.loads(line) for line in chunk])
            file.writelines(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE) for answer in answers)
    return time.perf_counter() - start


def ray_data(model: Path, source: Path, out: Path) -> float:
    """Ray Data as its documents have it for batch inference: read_json, map_batches on actors, write_json."""
    ray: Any = importlib.import_module("ray.data") and importlib.import_module("ray")
    # Two actors take two of its CPUs for good: without more, reading would wait for ever.
    ray.init(num_cpus=4, include_dashboard=False, log_to_driver=False, logging_level="error")
    ray.data.DataContext.get_current().enable_progress_bars = False
    start = time.perf_counter()
    flights = ray.data.read_json(str(source), lines=True)
    scored = flights.map_batches(
        Scorer, fn_constructor_args=(str(model),), batch_size=CHUNK, batch_format="pandas", concurrency=2
    )
    scored.write_json(str(out))
    seconds = time.perf_counter() - start
    ray.shutdown()
    return seconds


class Scorer:
    """The handler as an actor of Ray Data."""

    def __init__(self, model: str) -> None:
        self.handler = loaded(Path(model))

    def __call__(self, flights: Any) -> Any:
        import pandas as pd

        return pd.DataFrame(predictions(self.handler, plain(flights)))


def mlflow(model: Path, source: Path, out: Path) -> float:
    """MLflow's pyfunc: the model saved as one and loaded, then predict on the file, a chunk at a time."""
    import pandas as pd

    pyfunc: Any = importlib.import_module("mlflow.pyfunc")

    class Flights(pyfunc.PythonModel):  # type: ignore[misc]  # of a library that may not be there
        def load_context(self, context: Any) -> None:
            self.handler = loaded(Path(context.artifacts["model"]))

        def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
            return predictions(self.handler, plain(model_input))

    saved = out.with_name("mlflow-model")
    pyfunc.save_model(
        str(saved), python_model=Flights(), artifacts={"model": str(model)}, pip_requirements=[]
    )
    loaded_model = pyfunc.load_model(str(saved))
    start = time.perf_counter()
    with out.open("wb") as file:
        for flights in pd.read_json(source, lines=True, chunksize=CHUNK, dtype=False):
            for answer in loaded_model.predict(flights):
                file.write(orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE))
    return time.perf_counter() - start


def loaded(model: Path) -> Any:
    sys.dont_write_bytecode = True  # the manifest lists what may lie there
    sys.path.insert(0, str(model / "code"))
    handler = importlib.import_module("handler").Handler()
    handler.load(str(model))
    return handler


def predictions(handler: Any, instances: list[Any]) -> Any:
    taken = handler.preprocess(instances) if hasattr(handler, "preprocess") else instances
    given = handler.predict(taken)
    return handler.postprocess(given) if hasattr(handler, "postprocess") else given


def plain(flights: Any) -> list[Any]:
    """A frame as a handler gets its instances: objects, null where a value is missing."""
    return list(flights.astype(object).where(flights.notna(), None).to_dict("records"))


CONTESTANTS: dict[str, Callable[[Path, Path, Path], float]] = {
    "bare": bare,
    "ray": ray_data,
    "mlflow": mlflow,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=CONTESTANTS)
    for place in ("model", "source", "out"):
        parser.add_argument(place, type=Path)
    options = parser.parse_args()
    print(CONTESTANTS[options.name](options.model.resolve(), options.source.resolve(), options.out.resolve()))


if __name__ == "__main__":
    main()
