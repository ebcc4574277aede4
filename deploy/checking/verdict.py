"""What was seen of a container, judged: the steps that went well, and what is to change. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from deploy.checking import contracts, diagnosis
from deploy.checking.container import HEALTHY_WITHIN_S, Asked, Outcome
from deploy.checking.contracts import Reply
from deploy.checking.findings import Finding, error, warning
from deploy.checking.layout import Layout
from deploy.checking.report import Step
from deploy.sections import Check

_SAMPLES = "inference/samples.jsonl"
MOST_TOLD = 5  # samples of which it is said what is wrong
SLOW_S = 180  # a serverless endpoint's container has no longer. Source: serverless-endpoints.html


@dataclass
class Verdict:
    """The steps with what came of each, the lines of a traceback, and what is wrong."""

    steps: list[Step] = field(default_factory=list)
    lines: tuple[str, ...] = ()
    findings: list[Finding] = field(default_factory=list)


def judged(outcome: Outcome, layout: Layout, samples: int, meant: Check) -> Verdict:
    """All that can be said of a container that was run; `meant` is what the project does on purpose."""
    verdict = Verdict([_isolation(outcome, meant)])
    if outcome.healthy_s is None:
        return _not_healthy(verdict, outcome, layout)
    verdict.steps.append(Step("/ping", f"200 after {outcome.healthy_s:.1f} s"))
    if outcome.healthy_s > SLOW_S:
        value = f"takes {outcome.healthy_s:.0f} s to load"
        verdict.findings.append(warning("inference/", value, "load less; serverless endpoints allow 180 s"))
    _judge_samples(verdict, outcome, layout, meant)
    _judge_end(verdict, outcome)
    if not samples:
        value = "is not there: the handler was loaded and asked nothing"
        verdict.findings.append(warning(_SAMPLES, value, "write a few requests there, one a line"))
    return verdict


def _isolation(outcome: Outcome, meant: Check) -> Step:
    taken = outcome.isolation
    user = "ordinary user, read-only model" if taken.ordinary else "root, whom mode bits do not bind"
    network = "no network" if taken.offline else "with the network"
    if not taken.offline and not meant.network:
        network += ", since this machine lets no process have one of its own"
    met = taken.ordinary and (taken.offline or meant.network)
    return Step("container", f"{user}, {network}", "ok" if met else "warning")


def _not_healthy(verdict: Verdict, outcome: Outcome, layout: Layout) -> Verdict:
    ended = outcome.status is not None
    otherwise = (
        f"the container ended with status {outcome.status}"
        if ended
        else f"/ping was not answered with 200 within {HEALTHY_WITHIN_S} s"
    )
    found = diagnosis.read(outcome.printed, layout, otherwise)
    verdict.steps.append(Step("/ping", otherwise, "failed"))
    verdict.lines = found.lines
    verdict.findings.append(found.finding)
    return verdict


def _judge_samples(verdict: Verdict, outcome: Outcome, layout: Layout, meant: Check) -> None:
    wrong: list[Finding] = []
    for asked in outcome.asked:
        if failed := _failed(asked):
            found = diagnosis.read(outcome.printed, layout, failed)
            verdict.lines = found.lines
            wrong.append(error(f"{_SAMPLES}:{asked.number}", failed, found.finding.fix))
        else:
            wrong += _differences(asked, meant)
    verdict.findings += wrong[:MOST_TOLD]
    if more := wrong[MOST_TOLD:]:
        value = f"{len(more)} more samples are answered no better"
        verdict.findings.append(error(_SAMPLES, value, "begin with those above"))
    if outcome.asked:
        well = f"{len(outcome.asked) - len(wrong)} of {len(outcome.asked)}"
        told = f"{well} answered, alike as SageMaker and as Vertex AI ask"
        verdict.steps.append(Step("samples", told, "failed" if wrong else "ok"))


def _failed(asked: Asked) -> str:
    for cloud, reply in zip(itertools.cycle(contracts.CLOUDS), asked.replies, strict=False):
        if reply.status != 200:
            said = f"{reply.status}: {reply.body.strip()}" if reply.status else reply.body
            return f"asked as {cloud} asks, the container answered {said[:300]}"
    return ""


def _differences(asked: Asked, meant: Check) -> Iterator[Finding]:
    """A handler that answers each cloud otherwise, or the same request otherwise each time."""
    if not meant.repeatable:
        return
    place, (ours, theirs) = f"{_SAMPLES}:{asked.number}", (asked.replies[::2], asked.replies[1::2])
    if unlike := _unlike(ours) or _unlike(theirs):
        value = f"the same request was answered otherwise another time: {unlike}"
        fix = "keep nothing between requests, and seed what is random; else [check] repeatable = false"
        yield error(place, value, fix)
    elif unlike := contracts.difference(ours[0], theirs[0]):
        value = f"SageMaker's request and Vertex AI's are not answered alike: {unlike}"
        yield error(place, value, "have the handler look at its instances alone, and not at how they came")


def _unlike(replies: Sequence[Reply]) -> str:
    """Where answers to the same request differ."""
    return next(filter(None, (contracts.difference(replies[0], other) for other in replies[1:])), "")


def _judge_end(verdict: Verdict, outcome: Outcome) -> None:
    if outcome.status is not None:
        value = f"the container ended by itself with status {outcome.status} while it was asked"
        verdict.findings.append(error("inference/", value, "let no request end the process (sys.exit)"))
    elif outcome.stopped_s is None:
        value = "does not end within 30 s of SIGTERM, and is then killed with its requests"
        verdict.findings.append(warning("inference/", value, "leave no thread or process that has no end"))
        verdict.steps.append(Step("SIGTERM", "killed after 30 s", "warning"))
    else:
        verdict.steps.append(Step("SIGTERM", f"ended after {outcome.stopped_s:.1f} s"))
