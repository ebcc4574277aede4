"""AIP_STORAGE_URI: what lies below it becomes the model's folder, or a sentence says why not."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import storage as cloud

from inference.serving import settings
from inference.serving.errors import StartError
from inference.serving.model import artifact, storage


@pytest.fixture
def there() -> Iterator[cloud.Storage]:
    with cloud.running(cloud.Storage()) as running:
        yield running


def wanted(uri: str) -> settings.Artifact:
    found = settings.read({"AIP_STORAGE_URI": uri}).artifact
    assert found is not None
    return found


def fetch(there: cloud.Storage, folder: Path, uri: str = "gs://bucket/models/7") -> dict[str, bytes]:
    place = storage.Storage(there.url, there.url if there.wants_token else "", waits_s=(0, 0))
    model = artifact.fetch(wanted(uri), place, folder)
    return {
        path.relative_to(model).as_posix(): path.read_bytes() for path in model.rglob("*") if path.is_file()
    }


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def test_every_object_below_the_prefix_is_a_file_and_no_other_is(there, tmp_path):
    there.objects = {
        "models/7/weights.bin": b"\0" * 3_000_000,
        "models/7/code/handler.py": b"h",
        "models/7/code/a b/ü%2F?#.txt": b"t",
        "models/7/empty": b"",
        "models/7/": b"",
        "models/7/folder/": b"",
        "models/70/other": b"o",
        "models/7": b"o",
    }
    assert fetch(there, tmp_path) == {
        "weights.bin": b"\0" * 3_000_000,
        "code/handler.py": b"h",
        "code/a b/ü%2F?#.txt": b"t",
        "empty": b"",
    }
    assert fetch(there, tmp_path / "again", "gs://bucket/models/7/").keys() == {
        "weights.bin",
        "code/handler.py",
        "code/a b/ü%2F?#.txt",
        "empty",
    }


def test_a_bucket_alone_is_an_address_too(there, tmp_path):
    there.objects = {"weights": b"w"}
    assert fetch(there, tmp_path, "gs://bucket") == {"weights": b"w"}


def test_one_archive_alone_is_unpacked_and_not_kept(there, tmp_path):
    there.objects = {"models/7/model.tar.gz": packed({"weights": b"w", "code/handler.py": b"h"})}
    assert fetch(there, tmp_path) == {"weights": b"w", "code/handler.py": b"h"}
    assert not list(tmp_path.rglob("*.tar.gz"))


def test_an_archive_beside_other_files_is_a_file(there, tmp_path):
    there.objects = {"models/7/model.tar.gz": b"a", "models/7/weights": b"w"}
    assert fetch(there, tmp_path) == {"model.tar.gz": b"a", "weights": b"w"}


def test_an_archive_that_leads_out_is_refused(there, tmp_path):
    there.objects = {"models/7/model.tar.gz": packed({"../out": b"w"})}
    with pytest.raises(StartError, match=r"'\.\./out' leads out of the archive"):
        fetch(there, tmp_path / "in")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "name",
    ["../out", "a/../../out", "/etc/passwd", "a//b", "./a", "a/./b", "a\nb", "a\\b", "\u202eb", "a" * 256]
    + ["d/" * 33 + "f"],
)
def test_a_hostile_name_is_refused_before_anything_is_written(there, tmp_path, name):
    there.objects = {"models/7/good": b"g", f"models/7/{name}": b"x"}
    with pytest.raises(StartError, match="^AIP_STORAGE_URI: 'gs://bucket/models/7': "):
        fetch(there, tmp_path)
    assert list(tmp_path.rglob("*")) == []


def test_an_object_that_is_anothers_folder_is_refused(there, tmp_path):
    there.objects = {"models/7/a": b"1", "models/7/a/b": b"2"}
    with pytest.raises(StartError, match="'a' is an object and the folder of 'a/b'"):
        fetch(there, tmp_path)


def test_what_passes_by_itself_is_tried_again(there, tmp_path):
    there.objects = {"models/7/weights": b"weights"}
    # The first answer is the list of objects.
    for number, faults in enumerate(([503, 429], [None, "cut", "wrong"], [None, 500, 502])):
        there.faults = list(faults)
        assert fetch(there, tmp_path / str(number)) == {"weights": b"weights"}
        assert there.faults == []


def test_what_does_not_pass_is_told_with_its_object(there, tmp_path):
    there.objects = {"models/7/weights": b"weights"}
    there.faults = [None, "wrong", "wrong", "wrong"]
    with pytest.raises(StartError, match="'models/7/weights': 7 bytes came that are not the object's 7"):
        fetch(there, tmp_path)


@pytest.mark.parametrize(
    ("fault", "remedy"),
    [
        (403, "roles/storage.objectViewer"),
        (404, "was the model's artifact deleted"),
        (401, "service account"),
    ],
)
def test_a_refusal_is_not_tried_again_and_says_what_to_do(there, tmp_path, fault, remedy):
    there.faults = [fault, fault]
    with pytest.raises(StartError, match=f"'gs://bucket/models/7': {fault} .*fault {fault}; .*{remedy}"):
        fetch(there, tmp_path)
    assert there.faults == [fault]


def test_nothing_below_the_prefix_is_an_error(there, tmp_path):
    there.objects = {"models/70/weights": b"w"}
    with pytest.raises(StartError, match="holds no objects; expected a model's files, or model.tar.gz"):
        fetch(there, tmp_path)


def test_the_containers_own_token_goes_to_the_storage(there, tmp_path):
    there.wants_token = True
    there.objects = {"models/7/weights": b"w"}
    assert fetch(there, tmp_path) == {"weights": b"w"}


def test_google_and_its_metadata_server_are_asked_unless_a_storage_is_named():
    google = storage.reached_by({})
    assert (google.url, google.metadata) == (
        "https://storage.googleapis.com",
        "http://metadata.google.internal",
    )
    for named in ("http://127.0.0.1:9023", "127.0.0.1:9023", "http://127.0.0.1:9023/"):
        found = storage.reached_by({"STORAGE_EMULATOR_HOST": named})
        assert (found.url, found.metadata) == ("http://127.0.0.1:9023", "")


def test_without_a_metadata_server_the_error_names_it(there, tmp_path):
    place = storage.Storage(there.url, "http://127.0.0.1:1", waits_s=())
    with pytest.raises(StartError, match=r"no token from the metadata server http://127\.0\.0\.1:1"):
        artifact.fetch(wanted("gs://bucket/models/7"), place, tmp_path)


def test_a_folder_that_cannot_be_written_is_told(there, tmp_path):
    there.objects = {"models/7/weights": b"w"}
    (tmp_path / "downloaded").write_text("a file where the folder should be")
    with pytest.raises(StartError, match="cannot be written here"):
        fetch(there, tmp_path)
