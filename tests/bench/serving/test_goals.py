"""The goals are ratios of one run, and what is missing in a run makes no goal."""

from dataclasses import replace
from pathlib import Path

from bench.serving import results
from bench.serving.goals import goals
from bench.serving.plot import draw
from bench.serving.results import Bare, Loading, Results, Run, Window
from bench.serving.table import table

WINDOW = Window(32, rate=100, p50_ms=10, p95_ms=20, p99_ms=30, errors=0, cpu_us=1000, foreign=0)


def run(server: str, kind: str, workload: str = "tiny", **changes: float) -> Run:
    busy = replace(WINDOW, **changes)
    alone = replace(busy, connections=1)
    return Run(server, kind, workload, (alone, busy), cold_s=2.0, memory_mb=200)


def found(*runs: Run, bare: tuple[Bare, ...] = (), loading: tuple[Loading, ...] = ()) -> Results:
    return Results(2, 8, runs, bare, loading)


def met(results: Results) -> dict[str, tuple[float, bool]]:
    return {goal.what: (round(goal.found, 3), goal.met) for goal in goals(results)}


def test_the_tiny_goals_are_held_against_the_best_of_the_peers_in_each_respect() -> None:
    everything = found(
        run("slipway", "ours", rate=650, p50_ms=1.2, p99_ms=9, cpu_us=200),
        run("quick", "peer", rate=100, p50_ms=10, cpu_us=1000),
        run("lean", "peer", rate=50, p50_ms=12, cpu_us=600),
        run("echo-1", "limit", rate=900, p50_ms=0.8),
        run("echo-2", "limit", rate=1300, p50_ms=1.0),
    )
    assert met(everything) == {
        "tiny, 32 connections: times the best peer's rate": (6.5, True),
        "tiny, 32 connections: of the least CPU a request of a peer": (0.333, False),
        "tiny, 32 connections: p99, of the peers' lowest p50": (0.9, True),
        "tiny, 32 connections: of the faster echo's rate": (0.5, False),
        "tiny, 1 connection: ms above the echo at the median": (0.4, False),
    }


def test_the_others_are_held_against_the_bare_loop_loading_litserve_and_ourselves() -> None:
    everything = found(
        run("slipway", "ours", "encoder", rate=95),
        run("slipway-int8", "optimized", "encoder", rate=190),
        run("slipway-before", "variant", "encoder", rate=10),
        run("litserve", "peer", "encoder", rate=80),
        run("slipway", "ours", "zipf", rate=100),
        run("slipway-cache", "variant", "zipf", rate=250),
        bare=(Bare("encoder", 1, 8, 60, 1, 0), Bare("encoder", 2, 4, 100, 1, 0)),
        loading=(Loading("encoder", 1.6),),
    )
    assert met(everything) == {
        "encoder: of the bare loop's rate": (0.95, True),
        "encoder: times the best peer's rate": (1.188, False),
        "encoder: slipway-int8, times slipway's rate": (2.0, True),
        "zipf: with a cache, times the rate without": (2.5, False),
        "encoder: cold start, of importing and loading alone": (1.25, True),
        "encoder: of LitServe's memory": (1.0, True),
    }


def test_pictures_are_held_against_a_loop_that_receives_them_too() -> None:
    everything = found(
        run("slipway", "ours", "image", rate=95),
        run("socket-loop", "limit", "image", rate=100),
        bare=(Bare("image", 2, 4, 200, 1, 0),),
    )
    assert met(everything) == {
        "image: of the bare loop's rate": (0.475, False),
        "image: of the bare loop's rate where it receives its pictures": (0.95, True),
    }


def test_a_server_without_answers_is_compared_with_nothing() -> None:
    silent = run("litserve", "peer", rate=0)
    absent = Run("bentoml", "peer", "tiny", failure="not installed")
    assert met(found(run("slipway", "ours"), silent, absent)) == {}
    assert "| bentoml | not installed |" in table(found(run("slipway", "ours"), silent, absent))


def test_a_load_under_which_a_server_answered_nothing_is_compared_with_nothing() -> None:
    overwhelmed = replace(
        run("litserve", "peer"), windows=(replace(WINDOW, connections=1), replace(WINDOW, rate=0))
    )
    assert list(met(found(run("slipway", "ours"), overwhelmed))) == ["tiny: of LitServe's memory"]


def test_the_table_has_every_figure_the_ratios_and_a_star_where_others_disturbed() -> None:
    printed = table(found(run("slipway", "ours", rate=600), run("flask", "peer", foreign=0.3)))
    assert (
        "| flask | 100* (10.0 / 20.0 / 30.0) | 100* (10.0 / 20.0 / 30.0) | 0 | 1,000 | 200 | 2.00 |"
        in printed
    )
    assert "| flask | 6.00 | 6.00 |" in printed
    assert "times the best peer's rate | 6.00 | at least 6 | yes |" in printed


def test_results_are_read_as_they_were_written(tmp_path: Path) -> None:
    everything = found(
        run("slipway", "ours"), bare=(Bare("tiny", 1, 8, 60, 1, 0),), loading=(Loading("tiny", 1.6),)
    )
    results.write(everything, tmp_path / "results.json")
    assert results.read(tmp_path / "results.json") == everything


def test_a_run_can_be_drawn(tmp_path: Path) -> None:
    try:
        draw(found(run("slipway", "ours"), run("flask", "peer")), tmp_path / "plot.png")
    except ModuleNotFoundError as error:  # the plot alone needs it
        assert error.name == "matplotlib"
    else:
        assert (tmp_path / "plot.png").stat().st_size > 1000
