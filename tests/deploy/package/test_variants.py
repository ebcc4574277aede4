"""A variant goes into the archive of the model that it was made for, and into no other."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy import package
from deploy.package import PackageError, variants


@pytest.fixture
def parts(project: Callable[..., Path]) -> Callable[..., tuple[Path, Path, Path]]:
    """Model, code, and a variant made for them, with these words of its own in variant.json."""
    place = project()
    model, code, folder = place / "build/model", place / "inference", place / "build/optimized"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(b"graph")

    def write(**given: object) -> tuple[Path, Path, Path]:
        document = {"kind": "onnxruntime", "told": "1.7 times as fast", "needs": {}}
        document |= {"made_for": variants.made_for(model, code), **given}
        (folder / "variant.json").write_text(json.dumps(document))
        return model, code, folder

    return write


def packed(model: Path, code: Path, variant: Path) -> dict[str, bytes]:
    built = package.build(model, code, model.parent / "model.tar.gz", beside=package.Beside(variant))
    with tarfile.open(built.path) as archive:
        return {one.name: found.read() for one in archive.getmembers() if (found := archive.extractfile(one))}


def test_it_lies_beside_the_model_and_in_the_manifest(parts):
    model, code, folder = parts()
    found = packed(model, code, folder)
    assert found["optimized/model.onnx"] == b"graph"
    assert found["optimized/variant.json"] == (folder / "variant.json").read_bytes()
    listed = json.loads(found["code/manifest.json"])["files"]
    assert {"optimized/model.onnx", "optimized/variant.json"} <= set(listed)


def test_without_one_the_archive_is_what_it_always_was(parts, tmp_path):
    model, code, folder = parts()
    with_one = package.build(model, code, tmp_path / "a.tar.gz", beside=package.Beside(folder))
    nowhere = package.build(model, code, tmp_path / "b.tar.gz", beside=package.Beside(tmp_path / "nothing"))
    bare = package.build(model, code, tmp_path / "c.tar.gz")
    assert nowhere.digest == bare.digest != with_one.digest


@pytest.mark.parametrize("changed", ["build/model/weights.json", "inference/handler.py", "inference/new.py"])
def test_one_made_for_another_model_or_handler_is_refused(parts, changed):
    model, code, folder = parts()
    with (model.parents[1] / changed).open("a") as file:
        file.write("\n")
    with pytest.raises(
        PackageError, match="was made for another model or handler: run `make optimize` again"
    ):
        packed(model, code, folder)


@pytest.mark.parametrize("changed", ["inference/samples.jsonl", "inference/requirements.txt"])
def test_samples_and_requirements_may_change(parts, changed):
    model, code, folder = parts()
    (model.parents[1] / changed).write_text("3\n")
    assert "optimized/variant.json" in packed(model, code, folder)


def test_a_library_that_no_requirement_names_is_refused_with_the_line_to_write(parts):
    model, code, folder = parts(needs={"onnxruntime": "1.32.0", "torch": "2.13.0+cpu"})
    (code / "requirements.txt").write_text("onnxruntime-tools\n# onnxruntime\n")
    with pytest.raises(PackageError, match=r"needs: write onnxruntime==1\.32\.0 into it"):
        packed(model, code, folder)
    (code / "requirements.txt").write_text("numpy\n onnxruntime>=1.30\n")
    assert "optimized/model.onnx" in packed(model, code, folder)


@pytest.mark.parametrize("text", ["", "[]", "{}"])
def test_a_variant_that_cannot_be_read_is_refused(parts, text):
    model, code, folder = parts()
    (folder / "variant.json").write_text(text)
    with pytest.raises(PackageError, match="cannot be read"):
        packed(model, code, folder)
    with pytest.raises(PackageError, match="cannot be read"):
        variants.chosen(folder)


def test_a_model_with_files_in_the_variants_place_is_refused(parts):
    model, code, folder = parts()
    (model / "optimized").mkdir()
    (model / "optimized/notes.txt").write_text("mine")
    with pytest.raises(PackageError, match="takes the place of optimized/ in the archive"):
        packed(model, code, folder)
    (model / "optimized/variant.json").write_text("{}")
    with pytest.raises(PackageError, match="takes the place of a variant's"):
        package.build(model, code, model.parent / "model.tar.gz")


def test_what_a_person_is_told_of_it(parts, tmp_path):
    _, _, folder = parts()
    assert variants.chosen(folder) == variants.Variant("onnxruntime", "1.7 times as fast")
    assert variants.chosen(tmp_path / "nothing") is None
