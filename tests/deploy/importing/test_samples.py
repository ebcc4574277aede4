"""An example that lies with the model becomes requests; what is none is left."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.importing import samples, settings
from deploy.importing.kinds import KINDS


@pytest.fixture
def found(tmp_path: Path):
    def find(**files: str) -> samples.Samples | None:
        paths = {}
        for key, text in files.items():
            name = key.replace("__", "/").replace("_jsonl", ".jsonl").replace("_json", ".json")
            (tmp_path / key).with_suffix(Path(name).suffix).write_text(text)
            paths[name] = (tmp_path / key).with_suffix(Path(name).suffix)
        return samples.found(paths)

    return find


def test_a_document_is_one_request(found):
    assert found(instances_json='{"instances":\n  [1, "\u00e9"]}') == samples.Samples(
        "instances.json", '{"instances": [1, "\u00e9"]}\n'
    )


def test_json_lines_are_a_request_each(found):
    assert found(samples_jsonl="[1]\n\n[2]\n") == samples.Samples("samples.jsonl", "[1]\n[2]\n")


def test_mlflows_example_comes_first(found):
    example = found(code__sample_json="[2]", input_example_json='{"data": [[1]]}')
    assert example is not None
    assert example.file == "input_example.json"


@pytest.mark.parametrize("text", ["", "no JSON", "[NaN]", "\n"])
def test_what_is_no_json_is_no_sample(found, text):
    assert found(sample_json=text) is None


def test_other_files_are_no_samples(found):
    assert found(config_json="[1]", tests__sample_json="[1]") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Flight Delay_2", "flight-delay-2"),
        ("7b", "model-7b"),
        ("é", "model"),
        ("a" * 60, "a" * 50),
        ("-a-", "a"),
    ],
)
def test_a_name_is_one_that_both_clouds_take(text, name):
    assert settings.named(text) == name


def test_what_the_code_reads_of_its_environment_is_named_in_the_settings(tmp_path):
    (tmp_path / "x.py").write_text(
        "import os\nos.environ['FACTOR']\nos.getenv('LEVEL', '1')\nos.environ.get('LEVEL')\n"
        "os.environ[name]\nos.environ['SM_MODEL_DIR']\nother['NO']\n"
    )
    code = {"x.py": tmp_path / "x.py"}
    assert settings.variables(code) == ["FACTOR", "LEVEL"]
    text = settings.written("x", "", KINDS["SAGEMAKER"], code)
    assert '# FACTOR = ""  # the code reads it\n' in text
    assert '# SAGEMAKER_SERVING_MODULE = ""  # which of AWS\'s images' in text
