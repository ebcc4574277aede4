"""The verb: a table, a variant for the next package, and never a silent one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from networks import HANDLER, write_model

from deploy import optimizing
from deploy.__main__ import main
from deploy.package import variants


@pytest.fixture
def network(project: Callable[..., Path], tmp_path: Path) -> Path:
    """A project whose model is a small network of torch."""
    model = write_model(tmp_path / "written")
    place = project(handler=HANDLER, samples=(model / "code/samples.jsonl").read_text())
    (place / "build/model/weights.json").unlink()
    (model / "weights.pt").rename(place / "build/model/weights.pt")
    return place


def test_a_variant_is_tried_told_and_left_for_the_next_package(network, capfd):
    assert main(["optimize", "--project", str(network), "--choose", "int8"]) == 0
    printed = capfd.readouterr().out
    assert "try variants of the model" in printed
    assert "variant  times   per s  batch" in printed
    assert "\neager " in printed and "\nint8 " in printed
    assert "int8 is chosen, as asked for" in printed
    written = json.loads((network / "build/optimized/variant.json").read_text())
    assert written["kind"] == "int8"
    assert written["made_for"] == variants.made_for(network / "build/model", network / "inference")
    assert not list((network / "build").glob(".optimiz*"))


def test_what_cannot_be_chosen_fails_and_leaves_nothing(network, capfd, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert main(["optimize", "--project", str(network), "--choose", "aot-inductor"]) == 1
    printed = capfd.readouterr()
    assert "aot-inductor cannot be made: needs a C++ compiler" in printed.out
    assert "nothing was chosen" in printed.err
    assert not (network / "build/optimized").exists()


def test_none_takes_the_variant_away(network, capfd):
    (network / "build/optimized").mkdir()
    (network / "build/optimized/variant.json").write_text("{}")
    assert main(["optimize", "--project", str(network), "--choose", "none"]) == 0
    assert not (network / "build/optimized").exists()
    assert "packaged as it is" in capfd.readouterr().out


def test_a_project_without_a_torch_model_is_told_so(project, capfd):
    assert main(["optimize", "--project", str(project())]) == 1
    assert "nothing to optimize: the handler does not use torch" in capfd.readouterr().err


def test_without_samples_there_is_nothing_to_compare(network, capfd):
    (network / "inference/samples.jsonl").unlink()
    assert main(["optimize", "--project", str(network)]) == 1
    assert "samples.jsonl is not there: answers are compared on samples" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("gone", "sentence"),
    [
        ("build/model", "there is no model yet; `make train` makes one"),
        ("inference/handler.py", "is not there"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_tried(network, capfd, gone, sentence):
    place = network / gone
    place.rename(network / "elsewhere")
    assert main(["optimize", "--project", str(network)]) == 1
    assert sentence in capfd.readouterr().err


def test_a_handler_of_another_server_is_refused(network, capfd):
    (network / "inference/inference.py").write_text("def model_fn(model_dir): ...\n")
    assert main(["optimize", "--project", str(network)]) == 1
    assert "holds a handler of another server" in capfd.readouterr().err


def test_what_is_printed_beside_what_is_tried_is_kept_in_order(capsys):
    lines = ["1/2  eager\n", "2/2  int8\n", "\n", "variant  times\n", "3/4 of it\n"]
    assert optimizing._followed(lines) == ["", "variant  times", "3/4 of it"]
    assert optimizing._followed(["usage: wrong\n"]) == ["usage: wrong"]
    assert optimizing._followed([]) == []


def leave_variant(place: Path) -> None:
    """The variant int8, which needs no other file, for what is in the project now."""
    folder, made_for = (
        place / "build/optimized",
        variants.made_for(place / "build/model", place / "inference"),
    )
    folder.mkdir()
    document = {"kind": "int8", "told": "twice as fast", "needs": {}, "made_for": made_for, "format": 1}
    document |= {"attribute": "model", "batch_size": 4, "form": None}
    (folder / "variant.json").write_text(json.dumps(document))


def test_a_plan_names_the_variant_that_a_deploy_would_serve(iris, deploy, capfd):
    leave_variant(iris)
    assert deploy(iris, "plan") == 0
    assert "in the model's place: int8, twice as fast (`make optimize`)" in capfd.readouterr().out
    (iris / "inference/handler.py").write_text("# another\n" + (iris / "inference/handler.py").read_text())
    assert deploy(iris, "plan") == 1
    assert "was made for another model or handler" in capfd.readouterr().err


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_deployed_endpoint_serves_the_variant_and_its_log_says_so(iris, network, deploy, asked, capfd):
    for name in ("inference/handler.py", "inference/samples.jsonl", "build/model/weights.pt"):
        (network / name).rename(iris / name)
    leave_variant(iris)
    assert deploy(iris) == 0
    assert len(asked(iris, json.dumps([1.0] * 8))) == 4
    assert deploy(iris, "logs") == 0
    assert "served as int8 in the place of model" in capfd.readouterr().out
