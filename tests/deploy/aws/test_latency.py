"""`latency` against an endpoint: its container's phases, through boto3 and SageMaker's custom attributes."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.__main__ import main

ROOT = Path(__file__).parents[3]
# Each instance names the step that is slow for it.
HANDLER = """\
import time


class Handler:
    def load(self, model_dir):
        pass

    def _wait(self, instances, step):
        time.sleep(0.05 * (step in instances))
        return instances

    def preprocess(self, instances):
        return self._wait(instances, "preprocess")

    def predict(self, inputs):
        return self._wait(inputs, "predict")

    def postprocess(self, outputs):
        return self._wait(outputs, "postprocess")
"""
STEPS = {
    "preprocess": "data input time",
    "predict": "model time",
    "postprocess": "correction of the result",
}
ROW = re.compile(r"^ *([a-z ]+?) +((?: +[0-9.]+){3})((?: +[0-9]+%){3})", re.MULTILINE)


@pytest.fixture
def slow(iris, deploy):
    """iris, deployed with a handler that is slow where an instance says."""
    (iris / "inference/handler.py").write_text(HANDLER)
    (iris / "inference/samples.jsonl").write_text('"preprocess"\n"predict"\n')
    assert deploy(iris) == 0
    return iris


def table(text):
    """Each phase's shares at p50, p95 and p99, in percent."""
    return {name: [int(share) for share in re.findall("[0-9]+", rest)] for name, _, rest in ROW.findall(text)}


def body(place, step):
    (place / "body.json").write_text(json.dumps([step]))
    return ["--body", str(place / "body.json")]


def budgeted(place, **budget):
    listed = ", ".join(f"{name} = {limit}" for name, limit in budget.items())
    with (place / "deploy.toml").open("a") as file:
        file.write(f"\n[latency]\nbudget = {{ {listed} }}\n")


def test_the_step_that_is_slow_has_the_largest_share(slow, deploy, capsys):
    for step, part in STEPS.items():
        capsys.readouterr()
        assert deploy(slow, "latency", *body(slow, step), "--times", "6") == 0
        told = capsys.readouterr().out
        shares = table(told)
        assert len(shares) == 11, told
        told_of = ("queue", "decode", "encode", *STEPS)
        phases = {name: shares[name] for name in told_of}
        for at in range(3):
            assert max(phases, key=lambda name: phases[name][at]) == step
            assert shares[part][at] >= shares[step][at]
        assert "6 answers, 1 at once" in told
        assert "requests in one call of the handler: p50 1, p95 1, largest 1" in told
        assert "answers from the cache: 0 of 6" in told


def test_every_sample_is_posted_as_often_as_was_said_and_several_share_a_call(slow, deploy, capsys):
    capsys.readouterr()
    assert deploy(slow, "latency", "--times", "20", "--concurrency", "8") == 0
    told = capsys.readouterr().out
    assert "40 answers, 8 at once" in told
    assert int(re.search(r"largest (\d+)", told)[1]) > 1
    assert "\x1b" not in told


def test_answers_from_the_cache_are_counted(iris, deploy, capsys):
    with (iris / "deploy.toml").open("a") as file:
        file.write("\n[serving]\ncache = 100\nworkers = 1\n")
    assert deploy(iris) == 0
    capsys.readouterr()
    assert deploy(iris, "latency", "--times", "10") == 0
    assert "answers from the cache: 20 of 20" in capsys.readouterr().out


def test_a_broken_budget_is_told_with_a_remedy_and_exit_status_1(slow, deploy, capsys):
    settings = (slow / "deploy.toml").read_text()
    budgeted(slow, predict=30_000, whole=60_000)
    assert deploy(slow, "latency", *body(slow, "predict"), "--times", "4") == 0
    (slow / "deploy.toml").write_text(settings)
    budgeted(slow, predict=20, whole=30, postprocess=10_000)
    capsys.readouterr()
    assert deploy(slow, "latency", *body(slow, "predict"), "--times", "4") == 1
    told = capsys.readouterr()
    predict, whole = told.err.removeprefix("error: ").strip().splitlines()
    assert predict.startswith("deploy.toml: [latency] budget: predict took ")
    assert predict.endswith("or a lighter model")
    assert whole.startswith("deploy.toml: [latency] budget: whole took ") and "% of it is predict: " in whole
    assert "   10000\n" in told.out


def test_the_shares_are_drawn(slow, deploy, capsys):
    pytest.importorskip("matplotlib")
    picture = slow / "latency.png"
    assert deploy(slow, "latency", "--times", "2", "--plot", str(picture)) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    capsys.readouterr()
    assert deploy(slow, "latency", "--plot", str(slow / "none" / "latency.png")) == 1
    told = capsys.readouterr()
    assert "there is no folder" in told.err and "answers" not in told.out


def test_what_is_not_answered_is_told_once_and_before_the_rest(slow, deploy, capsys):
    (slow / "body.json").write_text("{")
    capsys.readouterr()
    assert deploy(slow, "latency", "--body", str(slow / "body.json")) == 1
    told = capsys.readouterr()
    assert told.err.startswith("error: the container answered 400: ") and told.err.count("\n") == 1
    assert told.out == ""


def test_an_endpoint_that_is_not_there_has_no_latency(iris, deploy, capsys):
    assert deploy(iris, "latency") == 1
    assert capsys.readouterr().err == "error: endpoint 'iris' is not there: `deploy-endpoint` makes it\n"


def test_ctrl_c_shows_what_there_is_and_is_exit_status_130(slow, local_cloud):
    command = [sys.executable, "-m", "deploy", "latency", "--project", str(slow), *body(slow, "predict")]
    with subprocess.Popen(
        [*command, "--times", "100000"],
        cwd=ROOT,
        env=local_cloud.shell,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout and process.stderr
        first = process.stdout.readline()  # a pipe is told after a second how far it is
        assert re.match(r"  ask 100,000 times, 1 at once  \d+ of 100,000", first)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert table(process.stdout.read())["predict"][1] > 50
        said = process.stderr.read().strip()
        assert re.fullmatch(r"stopped: what is shown is of the \d+ answers before it", said)


@pytest.mark.parametrize("words", [["--times", "0"], ["--concurrency", "65"], ["--concurrency", "two"]])
def test_numbers_that_cannot_be_are_wrong_usage(words, capsys):
    with pytest.raises(SystemExit) as end:
        main(["latency", *words])
    assert end.value.code == 2
    assert "expected a whole number of 1 to " in capsys.readouterr().err
