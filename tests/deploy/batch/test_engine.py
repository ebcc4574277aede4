import sys
from pathlib import Path

import pytest

from deploy.batch import engine
from deploy.batch.places import BatchError
from deploy.sections import Batch


def test_the_engine_is_told_what_the_settings_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = Batch(header="strip", accept="text/csv")
    assert engine.command("ray", Path("m.tar.gz"), ("in", "/out"), settings)[1:] == [
        *("-m", "inference.serving", "batch", f"{tmp_path}/in", "/out"),
        *("--model", f"{tmp_path}/m.tar.gz", "--engine", "ray"),
        *("--header", "strip", "--on-error", "fail", "--join", "none", "--accept", "text/csv"),
    ]


def test_it_has_the_containers_environment_and_is_told_which_variables_those_are():
    said = "import os, sys; sys.exit(int(os.environ['FACTOR']) + len(sys.argv[1:]))"
    assert engine.run([sys.executable, "-c", said], {"FACTOR": "40"}) == 42
    assert engine.run([sys.executable, "-c", "import sys; sys.exit(sys.argv[1:] != [])"], {}) == 0


@pytest.mark.parametrize(
    ("places", "settings"), [(("s3://b/in", "out"), Batch()), (("in", "out"), Batch(input_filter="$[1:]"))]
)
def test_what_needs_a_cloud_is_refused_without_one(places, settings):
    with pytest.raises(BatchError, match="--engine local"):
        engine.command("local", Path("m.tar.gz"), places, settings)
