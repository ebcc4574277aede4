"""[release]: a new version answers the golden samples beside the one in service, before it takes traffic."""

import signal

import pytest

# Ctrl-C may come between a socket's making and its having an owner: Python's collector closes that one.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
MAKES_AN_ENDPOINT = {"aws": "CreateEndpoint", "gcp": "POST endpoints:deployModel"}
LOGS = "/aws/sagemaker/Endpoints"
HANDLER = """\
import json
from pathlib import Path


class Handler:
    def load(self, model_dir):
        self.factor = json.loads((Path(model_dir) / "weights.json").read_text())["factor"]

    def predict(self, inputs):
        return [{"eta": self.factor * one, "kind": "flight"} for one in inputs]
"""


def configure(place, text):
    with (place / "deploy.toml").open("a") as file:
        file.write(text)


@pytest.fixture
def released(iris):
    """iris with [release], and answers that have fields."""
    (iris / "inference/handler.py").write_text(HANDLER)
    configure(iris, "\n[release]\nstrict = true\n[release.tolerance]\nrelative = 0.1\n")
    return iris


def planned(deploy, place, capsys):
    capsys.readouterr()
    assert deploy(place, "plan") == 0
    found = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    return [f"{words[0]} {words[1]}" for words in found if words[0] in {"create", "update", "delete"}]


def test_a_version_whose_answers_differ_never_takes_traffic(released, deploy, held, asked, weighed, capsys):
    assert deploy(released) == 0
    before = held(released)
    capsys.readouterr()
    assert deploy(weighed(released, 3)) == 1
    told = capsys.readouterr()
    assert "2 of 2 golden samples are answered otherwise than by the version in service" in told.out
    assert "  sample 1: [0].eta: 2 -> 3 (+1)\n  sample 2: [0].eta: 5.0 -> 7.5 (+2.5)\n" in told.out
    assert "[release] is strict, so the new version takes no traffic and is taken away again" in told.err
    assert held(released) == before
    assert asked(released) == {"eta": 2, "kind": "flight"}
    assert planned(deploy, weighed(released, 2), capsys) == []


def test_a_version_within_the_tolerance_takes_over_and_leaves_no_candidate(
    cloud, released, deploy, held, asked, weighed, capsys
):
    assert deploy(released) == 0
    moved = planned(deploy, weighed(released, 2.1), capsys)
    steps = moved.index("create candidate"), moved.index("delete candidate"), moved.index("update endpoint")
    assert steps == tuple(range(steps[0], steps[0] + 3))
    capsys.readouterr()
    assert deploy(released) == 0
    assert "2 golden samples are answered as by the version in service" in capsys.readouterr().out
    assert asked(released)["eta"] == 2.1
    assert held("iris-candidate") == set()
    if cloud.name == "aws":
        groups = cloud.local.client("logs").describe_log_groups(logGroupNamePrefix=f"{LOGS}/iris")
        assert [group["logGroupName"] for group in groups["logGroups"]] == [f"{LOGS}/iris"]


def test_without_any_sample_it_is_refused_before_anything_is_asked(released, deploy, calls, capsys):
    (released / "inference/samples.jsonl").unlink()
    assert deploy(released) == 1
    assert "neither inference/golden.jsonl nor inference/samples.jsonl is" in capsys.readouterr().err
    assert not calls


def test_without_strict_the_person_is_told_and_it_goes_on_unless_a_golden_sample_is_not_answered(
    released, deploy, held, asked, weighed, capsys
):
    text = (released / "deploy.toml").read_text().replace("strict = true", "shown = 1")
    (released / "deploy.toml").write_text(text)
    golden = released / "inference/golden.jsonl"
    golden.write_text("1\n2\n3\n")
    assert deploy(released) == 0
    assert "3 golden samples answered; no version is in service yet" in capsys.readouterr().out
    assert deploy(weighed(released, 3)) == 0
    assert "sample 1: [0].eta: 2 -> 3 (+1)\n  and 2 more differences\n" in capsys.readouterr().out
    assert asked(released)["eta"] == 3
    before = held(released)
    golden.write_text("1\nnull\n")
    assert deploy(weighed(released, 3.1)) == 1
    assert "inference/golden.jsonl: sample 2 is not answered by the new version" in capsys.readouterr().err
    assert (held(released), asked(released)["eta"]) == (before, 3)
    golden.write_text("1\n{2\n")
    assert deploy(released) == 1
    assert "golden.jsonl:2" in capsys.readouterr().err


def test_a_version_that_does_not_start_shows_its_traceback_and_leaves_nothing(released, deploy, held, capsys):
    assert deploy(released) == 0
    before = held(released)
    (released / "inference/handler.py").write_text(
        HANDLER.replace("self.factor =", "raise KeyError('no')\n        x =")
    )
    assert deploy(released) == 1
    assert "KeyError: 'no'" in capsys.readouterr().err
    assert (held(released), held("iris-candidate")) == (before, set())


def test_a_candidate_that_a_stopped_release_left_is_taken_away_by_the_next_deploy_or_destroy(
    cloud, released, deploy, held, asked, weighed, capsys
):
    assert deploy(released) == 0
    for verb in ("deploy-endpoint", "destroy"):
        stop = MAKES_AN_ENDPOINT[cloud.name]
        cloud.on_call(lambda operation, stop=stop: operation == stop and signal.raise_signal(signal.SIGINT))
        factor = 2.1 if verb == "deploy-endpoint" else 2.05
        assert deploy(weighed(released, factor)) == 130
        cloud.forget()
        assert held("iris-candidate") >= {"endpoint iris-candidate"}
        assert asked(released)["eta"] == (2 if verb == "deploy-endpoint" else 2.1)
        assert planned(deploy, released, capsys)[0] == "delete candidate"
        assert deploy(released, verb, "--yes") == 0
        assert "endpoint iris-candidate" not in held("iris-candidate")
    assert held(released) == set()


def test_a_deployment_of_the_candidate_s_name_is_left_alone(
    released, project, deploy, held, asked, weighed, capsys
):
    other = project("iris-candidate", factor=7)
    assert deploy(other) == 0
    try:
        theirs = held(other)
        assert deploy(released) == 1
        told = capsys.readouterr().err
        assert "endpoint 'iris-candidate' is there already and is another deployment's" in told
        assert held(released) == set()
        assert deploy(released, "destroy", "--yes") == 0
        assert held(other) == theirs
        assert asked(other) == 7
    finally:
        assert deploy(other, "destroy", "--yes") == 0


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_streams_are_compared_joined(released, deploy, weighed, capsys):
    handler = HANDLER.replace("return [{", "for one in inputs:\n            yield {").replace(
        " for one in inputs]", ""
    )
    (released / "inference/handler.py").write_text(handler)
    assert deploy(released) == 0
    assert deploy(weighed(released, 3)) == 1
    assert "sample 1: [0].eta: 2 -> 3 (+1)" in capsys.readouterr().out
