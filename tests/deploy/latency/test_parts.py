"""The names of the phases, here and in the runtime, and what a budget may say."""

import re

import pytest

from deploy.config import ConfigError, load
from deploy.latency.parts import FIRST, MEASURED, NETWORK, PARTS, PHASES, STREAM, WHOLE
from inference.serving.counting import board


def test_the_phases_are_those_that_the_runtime_tells():
    assert PHASES == board.PHASES


def test_each_phase_is_in_one_part_and_the_network_is_too():
    assert sorted(name for names in PARTS.values() for name in names) == sorted((NETWORK, *PHASES, STREAM))
    assert set(MEASURED) == {WHOLE, FIRST, NETWORK, *PHASES, STREAM}


def test_a_budget_is_a_table_of_milliseconds_by_phase(project):
    place = project("iris")
    assert load(place).latency.budget == {}
    with (place / "deploy.toml").open("a") as file:
        file.write("[latency]\nbudget = { whole = 50, predict = 2.5 }\n")
    assert load(place).latency.budget == {"whole": 50, "predict": 2.5}


@pytest.mark.parametrize(
    ("budget", "sentence"),
    [
        (
            "{ predct = 2 }",
            "[latency.budget]: 'predct' is no phase, expected one of whole, first, network, queue, decode, "
            "preprocess, predict, postprocess, encode, stream",
        ),
        ("{ predict = 0 }", "[latency.budget]: predict is 0, expected milliseconds above 0, such as 20"),
        ("{ predict = inf }", "[latency.budget]: predict is inf, expected milliseconds above 0, such as 20"),
        (
            "{ predict = true }",
            "[latency.budget]: predict is True, expected milliseconds above 0, such as 20",
        ),
        ('{ predict = "2" }', "[latency.budget]: predict is '2', expected milliseconds above 0, such as 20"),
        ("20", "[latency]: budget is 20, expected a table of phases and the milliseconds of each at p95"),
    ],
)
def test_a_wrong_budget_is_told_with_place_value_and_what_would_be_right(project, budget, sentence):
    place = project("iris")
    with (place / "deploy.toml").open("a") as file:
        file.write(f"[latency]\nbudget = {budget}\n")
    with pytest.raises(ConfigError, match=re.escape(f"deploy.toml: {sentence}")):
        load(place)
