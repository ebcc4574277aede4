"""The manifest check, on a small archive's files."""

from __future__ import annotations

import hashlib
import json

import pytest

from inference.serving.errors import StartError
from inference.serving.model import manifest


@pytest.fixture
def model(tmp_path):
    """A model folder with a manifest; its digest."""
    (tmp_path / "code").mkdir()
    (tmp_path / "weights.bin").write_bytes(b"\0" * 1000)
    (tmp_path / "code/handler.py").write_text("x = 1\n")
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}
        for name in ("weights.bin", "code/handler.py")
        if (data := (tmp_path / name).read_bytes())
    }
    text = json.dumps({"format": 1, "files": files}, sort_keys=True, separators=(",", ":"))
    (tmp_path / "code/manifest.json").write_text(text)
    return tmp_path, hashlib.sha256(text.encode()).hexdigest()


def refused(model_dir, expected):
    with pytest.raises(StartError) as caught:
        manifest.check(model_dir, expected)
    return str(caught.value)


def test_what_was_packaged_passes(model):
    folder, digest = model
    assert f"manifest {digest[:12]}: 2 files" in manifest.check(folder, digest)
    assert "2 files" in manifest.check(folder, None)


def test_without_a_manifest_only_a_digest_from_outside_is_an_error(tmp_path):
    assert "files are taken as they are" in manifest.check(tmp_path, None)
    assert "SLIPWAY_MANIFEST_SHA256 asks for it" in refused(tmp_path, "0" * 64)


def test_another_manifest_is_refused(model):
    assert "is not the one deployed" in refused(model[0], "0" * 64)


def test_one_flipped_byte_is_found_and_named(model):
    folder, digest = model
    data = bytearray((folder / "weights.bin").read_bytes())
    data[500] ^= 1
    (folder / "weights.bin").write_bytes(data)
    assert "'weights.bin' has sha256" in refused(folder, digest)


def test_a_truncated_a_missing_and_an_added_file_are_named(model):
    folder, digest = model
    (folder / "weights.bin").write_bytes(b"\0" * 999)
    assert "'weights.bin' has 999 bytes" in refused(folder, digest)
    (folder / "weights.bin").unlink()
    assert "'weights.bin' is in code/manifest.json but not in" in refused(folder, digest)
    (folder / "weights.bin").write_bytes(b"\0" * 1000)
    (folder / "code/extra.py").write_text("")
    assert "'code/extra.py' is in" in refused(folder, digest)


def test_a_link_is_refused(model):
    folder, digest = model
    (folder / "code/link").symlink_to("/etc/passwd")
    assert "'code/link' is a link" in refused(folder, digest)


def test_a_compiled_module_that_would_run_in_a_sources_place_is_refused(model):
    folder, digest = model
    (folder / "code/__pycache__").mkdir()
    (folder / "code/__pycache__/handler.cpython-311.pyc").write_bytes(b"x")
    assert "'code/__pycache__/handler.cpython-311.pyc' is in" in refused(folder, digest)


def test_serving_leaves_no_cache_that_the_next_start_would_refuse(serve, tmp_path):
    handler = (
        "import sibling\nclass Handler:\n    def load(self, d): pass\n    def predict(self, x): return x\n"
    )
    served = serve(handler, None, {"sibling.py": ""}, PYTHONDONTWRITEBYTECODE="").wait_ready()
    assert served.stop() == 0
    assert not list(tmp_path.rglob("model/code/__pycache__"))


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"format": 2, "files": {}}', '{"format": 1, "files": {"a": 1}}']
)
def test_a_manifest_that_is_none_is_refused(tmp_path, text):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/manifest.json").write_text(text)
    assert "code/manifest.json" in refused(tmp_path, None)


def test_a_changed_archive_is_never_served(serve, model):
    served = serve(SLIPWAY_MANIFEST_SHA256="0" * 64)
    assert served.status() == 1
    assert "code/manifest.json is not in" in served.log
