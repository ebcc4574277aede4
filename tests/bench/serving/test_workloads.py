"""Every server is asked the same, and what it is asked is what the workload says."""

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from bench.serving.sentences import sentences
from bench.serving.workloads import JSON, WORKLOADS, Prepared, prepare, read_bodies


def weights(folder: Path) -> Path:
    """A stand-in for the encoder's files, which are copied and not read here."""
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}")
    return folder


def prepared(name: str, folder: Path) -> Prepared:
    (folder / "weights").mkdir()
    return prepare(WORKLOADS[name], lambda: weights(folder / "weights"), folder)


def test_sentences_are_of_mixed_length_and_always_the_same() -> None:
    lengths = sorted(map(len, sentences()))
    assert len(lengths) > 1000
    assert lengths[0] < 50 < 300 < lengths[-1]
    assert sentences() == sentences()


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_model_lies_as_a_container_finds_it(name: str, tmp_path: Path) -> None:
    model = prepared(name, tmp_path).model
    assert "class Handler" in (model / "code" / "handler.py").read_text()
    assert (model / "code" / "samples.jsonl").exists() == (name != "image")


def test_a_tiny_body_holds_64_numbers(tmp_path: Path) -> None:
    (row,) = json.loads(read_bodies(prepared("tiny", tmp_path).bodies["instances"], 1)[0])["instances"]
    assert len(row) == 64


def test_an_image_is_600_kb_of_npy(tmp_path: Path) -> None:
    bodies = read_bodies(prepared("image", tmp_path).bodies["instances"], 99)
    assert len(set(bodies)) == 8
    assert 600_000 < len(bodies[0]) < 610_000
    assert np.load(io.BytesIO(bodies[0])).shape == (1, 3, 224, 224)


@pytest.mark.parametrize("name", WORKLOADS)
def test_the_protocol_v2_asks_the_same_question(name: str, tmp_path: Path) -> None:
    made = prepared(name, tmp_path)
    plain, v2 = (read_bodies(made.bodies[form], 3)[2] for form in ("instances", "v2"))
    tensor = json.loads(v2)["inputs"][0]
    if made.workload.content_type == JSON:
        (instance,) = json.loads(plain)["instances"]
        assert tensor["data"] == (instance if name == "tiny" else [instance])
    else:
        assert tensor["parameters"] == {"content_type": "base64"}
        assert len(tensor["data"][0]) > len(plain)


def test_zipf_asks_a_few_questions_often(tmp_path: Path) -> None:
    bodies = read_bodies(prepared("zipf", tmp_path).bodies["instances"], 20_000)
    asked = Counter(bodies).most_common()
    assert asked[0][1] > 20 * asked[len(asked) // 2][1]
    assert sum(times for _, times in asked[:100]) > len(bodies) / 2
