"""The model that a run is given: an archive with its manifest, or a folder."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from inference.serving.batch import model


def packed(batch, spoil: bool = False) -> Path:
    """The model's folder as an archive with a manifest."""
    folder = batch.folder / "model"
    handler = folder / "code/handler.py"
    entry = {"sha256": hashlib.sha256(handler.read_bytes()).hexdigest(), "size": handler.stat().st_size}
    listed = {"format": 1, "files": {"code/handler.py": entry}}
    (folder / "code/manifest.json").write_text(json.dumps(listed))
    if spoil:
        handler.write_text(handler.read_text().replace("value * 2", "value * 3"))
    with tarfile.open(batch.folder / "model.tar.gz", "w:gz") as tar:
        tar.add(folder, ".")
    return batch.folder / "model.tar.gz"


def test_an_archive_is_unpacked_checked_and_taken_away_again(batch):
    batch.put("a.jsonl", [4])
    done = batch.run("--model", str(packed(batch)))
    assert done.returncode == 0, done.stderr
    assert "1 files are as they were packaged" in done.stderr
    assert batch.out("a.jsonl") == [{"double": 8}]
    assert sorted(path.name for path in batch.output.iterdir()) == [".slipway-batch.json", "a.jsonl.out"]


def test_an_archive_that_is_not_what_was_packaged_is_refused(batch):
    batch.put("a.jsonl", [4])
    done = batch.run("--model", str(packed(batch, spoil=True)))
    assert done.returncode == 1
    assert "'code/handler.py' has sha256" in done.stderr
    assert batch.files() == []


def test_an_archive_with_a_link_is_refused(batch):
    batch.put("a.jsonl", [4])
    (batch.folder / "model/code/data").symlink_to("/etc")
    done = batch.run("--model", str(packed(batch)))
    assert done.returncode == 1
    assert "is a symbolic link; expected regular files and folders alone" in done.stderr


def test_the_model_is_left_as_it_was(batch):
    batch.put("a.jsonl", [4])
    before = sorted((batch.folder / "model").rglob("*"))
    assert batch.run().returncode == 0
    assert sorted((batch.folder / "model").rglob("*")) == before


def test_a_folders_digest_is_that_of_all_that_is_in_it(batch):
    folder = batch.folder / "model"

    def digest() -> str:
        with model.at(folder, batch.folder / "unpacked") as found:
            return found.digest

    first = digest()
    assert digest() == first
    (folder / "weights.bin").write_bytes(b"1")
    second = digest()
    (folder / "weights.bin").rename(folder / "weights2.bin")
    assert len({first, second, digest()}) == 3
