"""What was imported is deployed as any project: each kind answers its own requests, unchanged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# A kind, what else the import must be told, a request in samples.jsonl, and its answer.
ASKED = {
    "a source folder of SageMaker's": ([], "", "[3, 6]"),
    "a model.tar.gz": ([], "[1, 2]", "[3, 6]"),
    "a Predictor of Vertex AI": ([], '{"instances": [1, 2]}', '{"predictions":[3,6]}'),
    "a packaged model": (["--handler", "sklearn"], '{"instances": [1, 2]}', '{"predictions":[3,6]}'),
    "a .mar": ([], '{"a": 1}', '["known", 1, {"a": 1}]'),
    "the files of a .mar": ([], '{"a": 1}', '["known", 1, {"a": 1}]'),
    "an EndpointHandler": ([], '{"inputs": "two"}', "[2]"),
    "a pipeline": ([], '{"inputs": "good"}', '"text-classification of good"'),
    "TorchScript": ([], '{"instances": [[1.0, 2.0]]}', '{"predictions": [[2.0, 4.0]]}'),
}
# One of each server's answers on the other's cloud, too.
ON_BOTH = ["a model.tar.gz", "a Predictor of Vertex AI", "a .mar"]
# transformers is no package of the tests': what a pipeline needs of it.
TRANSFORMERS = """\
def pipeline(task, model, trust_remote_code):
    return lambda text: f"{task} of {text}"
"""
EVERYWHERE = [(name, "aws") for name in ASKED] + [(name, "gcp") for name in ON_BOTH]


@pytest.mark.parametrize(("name", "cloud_name"), EVERYWHERE)
def test_an_imported_project_is_deployed(
    name: str,
    kind: Callable[[str], Path],
    run_import: Callable[..., int],
    tmp_path: Path,
    account: Callable[[Path], None],
    deploy: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    options, sample, answer = ASKED[name]
    place = tmp_path / "imported"
    assert run_import(kind(name), *options, to=place) == 0
    if sample:
        (place / "inference/samples.jsonl").write_text(f"{sample}\n")
    if name == "a pipeline":
        install_transformers(place)
    account(place)
    try:
        assert deploy(place) == 0
        told = capsys.readouterr().out
    finally:
        assert deploy(place, "destroy", "--yes") == 0
    assert "imported answered 1 of 1 samples" in told
    shown = next(line for line in told.splitlines() if line.startswith("    -> "))
    assert json.loads(shown.removeprefix("    -> ")) == json.loads(answer)


def install_transformers(place: Path) -> None:
    """Have the container find what stands for transformers."""
    packages = place.parent / "packages"
    packages.mkdir()
    (packages / "transformers.py").write_text(TRANSFORMERS)
    with (place / "deploy.toml").open("a") as settings:
        settings.write(f'\n[environment]\nPYTHONPATH = "{ROOT}:{packages}"\n')
