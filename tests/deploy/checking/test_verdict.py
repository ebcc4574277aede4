"""What was seen of a container becomes steps and findings."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from deploy.checking import verdict
from deploy.checking.container import Asked, Outcome
from deploy.checking.contracts import JSON, JSON_LINES, Reply
from deploy.checking.isolation import Isolation
from deploy.checking.layout import Layout
from deploy.sections import Check

LAYOUT = Layout(Path("/run/ml"), Path("/run/runtime"), Path("/run/home"))
WELL = Outcome(Isolation(offline=True, ordinary=True), healthy_s=1.0, stopped_s=0.2)


def replies(*answers: tuple[int, int]) -> tuple[Reply, ...]:
    """SageMaker's and Vertex AI's answers in turns."""
    pairs = (
        (Reply(200, JSON_LINES, f"{ours}\n"), Reply(200, JSON, f'{{"predictions": [{theirs}]}}'))
        for ours, theirs in answers
    )
    return tuple(reply for pair in pairs for reply in pair)


def judged(outcome: Outcome, samples: int = 1, meant: Check | None = None) -> verdict.Verdict:
    return verdict.judged(outcome, LAYOUT, samples, meant or Check())


def told(found: verdict.Verdict) -> list[str]:
    return [f"{one.severity}: {one.place}: {one.value}" for one in found.findings]


def test_all_well_is_no_finding():
    found = judged(replace(WELL, asked=[Asked(1, replies((2, 2)))]))
    assert found.findings == []
    assert [step.state for step in found.steps] == ["ok"] * 4


def test_clouds_that_are_answered_otherwise_and_always_so_are_told_apart_from_chance():
    found = judged(replace(WELL, asked=[Asked(1, replies((1, 2), (1, 2)))]))
    assert told(found) == [
        "error: inference/samples.jsonl:1: SageMaker's request and Vertex AI's are not answered alike: "
        "predictions[0] is 1 and 2"
    ]
    by_chance = judged(replace(WELL, asked=[Asked(1, replies((1, 2), (3, 4)))]))
    assert "the same request was answered otherwise another time" in told(by_chance)[0]
    # One of two processes has kept something, and answers Vertex AI's request by chance alone.
    assert (
        "otherwise another time" in told(judged(replace(WELL, asked=[Asked(1, replies((1, 2), (1, 3)))])))[0]
    )


def test_what_is_meant_is_no_finding():
    asked = replace(WELL, asked=[Asked(1, replies((1, 2), (3, 4)))])
    assert judged(asked, meant=Check(repeatable=False)).findings == []
    online = replace(WELL, isolation=Isolation(offline=False, ordinary=True))
    assert judged(online, meant=Check(network=True)).steps[0].state == "ok"
    assert judged(online).steps[0].state == "warning"


def test_many_samples_that_fail_alike_are_counted():
    failed = [Asked(number, (Reply(500, "", "no"), Reply(500, "", "no"))) for number in range(1, 9)]
    found = judged(replace(WELL, asked=failed))
    assert told(found)[0] == (
        "error: inference/samples.jsonl:1: asked as SageMaker asks, the container answered 500: no"
    )
    assert told(found)[-1] == "error: inference/samples.jsonl: 3 more samples are answered no better"
    assert len(found.findings) == verdict.MOST_TOLD + 1


def test_no_samples_a_slow_start_and_an_end_that_does_not_come_are_warnings():
    found = judged(replace(WELL, healthy_s=200.0, stopped_s=None), samples=0)
    assert told(found) == [
        "warning: inference/: takes 200 s to load",
        "warning: inference/: does not end within 30 s of SIGTERM, and is then killed with its requests",
        "warning: inference/samples.jsonl: is not there: the handler was loaded and asked nothing",
    ]


def test_one_that_ends_while_it_is_asked_is_an_error():
    assert "ended by itself with status 3" in told(judged(replace(WELL, status=3)))[0]


def test_one_that_never_answers_is_told_with_how_it_ended():
    found = judged(replace(WELL, healthy_s=None, status=-9))
    assert told(found) == ["error: inference/: the container ended with status -9"]
    assert "within 480 s" in told(judged(replace(WELL, healthy_s=None)))[0]
