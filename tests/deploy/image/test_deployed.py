"""The kit's own image through the verbs, on both clouds: built where it is missing, and never taken away."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Deploy = Callable[..., int]


def test_an_image_is_built_once_for_all_that_goes_into_it(
    imageless: Path, deploy: Deploy, registry: Any, asked: Callable[..., Any], capsys: Any
) -> None:
    assert deploy(imageless, "plan") == 0
    planned = re.search(r"create  image +(slipway/serving:[0-9a-f]{16})\n", capsys.readouterr().out)
    assert planned
    assert registry.tags() == set()

    assert deploy(imageless) == 0
    assert {f"slipway/serving:{tag}" for tag in registry.tags()} == {planned[1]}
    assert asked(imageless) == 2

    handler = imageless / "inference/handler.py"
    handler.write_text(handler.read_text() + "\n# edited\n")
    capsys.readouterr()
    assert deploy(imageless, "plan") == 0
    out = capsys.readouterr().out
    assert "create  model" in out
    assert "image" not in out
    assert deploy(imageless, "destroy", "--yes") == 0
    assert len(registry.tags()) == len(registry.builds()) == 1


def test_what_the_project_requires_makes_another_image(
    imageless: Path, deploy: Deploy, registry: Any, capsys: Any
) -> None:
    assert deploy(imageless, "plan") == 0
    (imageless / "inference/requirements.txt").write_text("tabulate==0.10.0\n")
    assert deploy(imageless, "plan") == 0
    assert len(set(re.findall(r"slipway/serving:[0-9a-f]{16}", capsys.readouterr().out))) == 2


def test_a_build_that_fails_says_why_and_leaves_nothing(
    imageless: Path, deploy: Deploy, registry: Any, held: Callable[..., set[str]], capsys: Any
) -> None:
    (imageless / "inference/requirements.txt").write_text("not a requirement ==\n")
    assert deploy(imageless) == 1
    assert "Invalid requirement: 'not a requirement =='" in capsys.readouterr().err
    assert [registry.state(build) for build in registry.builds()] == ["FAILED"]
    assert registry.tags() == held(imageless) == set()


def test_without_what_infra_makes_it_is_said_what_to_do(
    imageless: Path, deploy: Deploy, registry: Any, capsys: Any
) -> None:
    registry.without_builder()
    assert deploy(imageless) == 1
    err = capsys.readouterr().err
    assert "infra" in err
    assert "name an image in deploy.toml" in err


def test_a_version_that_fails_takes_no_image_away(
    imageless: Path, deploy: Deploy, registry: Any, held: Callable[..., set[str]]
) -> None:
    (imageless / "inference/handler.py").write_text(
        "class Handler:\n    def load(self, model_dir): 1 / 0\n    def predict(self, x): return x\n"
    )
    assert deploy(imageless) == 1
    assert held(imageless) == set()
    assert len(registry.tags()) == 1


def test_an_image_of_the_kit_s_that_is_named_is_left_to_others(
    imageless: Path, deploy: Deploy, registry: Any, cloud: Any, capsys: Any
) -> None:
    assert deploy(imageless) == 0
    (tag,) = registry.tags()
    settings = imageless / "deploy.toml"
    named = f'[{cloud.name}]\nimage = "{registry.address}/slipway/serving:{tag}"\n'
    settings.write_text(settings.read_text().replace(f"[{cloud.name}]\n", named))
    (imageless / "inference/requirements.txt").write_text("tabulate==0.10.0\n")
    capsys.readouterr()
    assert deploy(imageless) == 0
    assert "image" not in capsys.readouterr().out
    assert deploy(imageless, "destroy", "--yes") == 0
    assert f"others may use it, left alone: image slipway/serving:{tag}" in capsys.readouterr().out
    assert registry.tags() == {tag}


@pytest.mark.parametrize("cloud_name", ["gcp"])
def test_what_trains_in_the_image_has_it_first(
    imageless: Path, untrained: Path, deploy: Deploy, registry: Any, capsys: Any
) -> None:
    assert deploy(untrained, "train") == 0
    out = capsys.readouterr().out
    assert out.index("create image slipway/serving:") < out.index("training job iris-")
    assert len(registry.tags()) == 1


def test_batch_jobs_have_the_image_too(imageless: Path, deploy: Deploy, registry: Any) -> None:
    (imageless / "rows.jsonl").write_text("1\n2\n")
    given = ("--input", str(imageless / "rows.jsonl"), "--output", str(imageless / "scored"))
    assert deploy(imageless, "batch-transform", *given) == 0
    assert (imageless / "scored/rows.jsonl.out").read_text() == "2\n4\n"
    assert len(registry.tags()) == 1
