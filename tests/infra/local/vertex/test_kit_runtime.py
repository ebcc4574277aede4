"""Slipway's own runtime as the image: it downloads its model from Cloud Storage by itself."""

import gzip
import hashlib
import io
import json
import tarfile

import pytest
from google.api_core import exceptions
from waiting import is_alive

HANDLER = """
import json, os, pathlib
class Handler:
    def load(self, model_dir):
        self.factor = json.loads(pathlib.Path(model_dir, "weights.json").read_text())
    def predict(self, instances):
        return [os.getpid() if one == "pid" else self.factor * one for one in instances]
"""


def files_of(handler=HANDLER, weights="3"):
    files = {
        "weights.json": weights,
        "code/handler.py": handler,
        "code/requirements.txt": "",
        "code/samples.jsonl": "1\n",
    }
    listed = {
        name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
        for name, text in files.items()
    }
    manifest = json.dumps({"files": listed, "format": 1}, sort_keys=True, separators=(",", ":"))
    return {**files, "code/manifest.json": manifest}, hashlib.sha256(manifest.encode()).hexdigest()


def packed(files):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text.encode())
            tar.addfile(member, io.BytesIO(text.encode()))
    return gzip.compress(made.getvalue())


def deployed(google, objects, digest):
    prefix = google.name("kit")
    for name, content in objects.items():
        google.storage.bucket(google.bucket).blob(f"{prefix}/{name}").upload_from_string(content)
    return google.served(
        {"SLIPWAY_MANIFEST_SHA256": digest},
        artifact_uri=f"gs://{google.bucket}/{prefix}",
        serving_container_image_uri=google.kit_image,
    )


@pytest.mark.parametrize("form", [lambda files: files, lambda files: {"model.tar.gz": packed(files)}])
def test_a_handler_is_served_from_files_or_from_the_archive(google, form):
    files, digest = files_of()
    endpoint = deployed(google, form(files), digest)
    assert endpoint.predict(instances=[1, 2.5, 2**60]).predictions == [3, 7.5, 3 * 2**60]
    (pid,) = endpoint.predict(instances=["pid"]).predictions
    endpoint.delete(force=True)
    assert not is_alive(pid)


def test_raw_predict_hands_on_what_asks_for_the_phases_and_what_tells_them(google):
    files, digest = files_of()
    endpoint = deployed(google, files, digest)
    asked = {"Content-Type": "application/jsonlines", "Slipway-Timing": "1"}
    told = endpoint.raw_predict(body=b"1\n", headers=asked)
    assert (told.content, "predict;dur=" in told.headers["Server-Timing"]) == (b"3\n", True)
    accepted = {"Content-Type": "application/jsonlines", "Accept": "text/csv"}
    plain = endpoint.raw_predict(body=b"1\n", headers=accepted)
    assert plain.headers["Content-Type"] == "application/jsonlines", "no other header reaches the container"
    assert "Server-Timing" not in plain.headers


def test_a_handler_that_cannot_load_fails_the_deployment_with_its_traceback(google):
    files, digest = files_of(weights="{")
    with pytest.raises(exceptions.FailedPrecondition, match="JSONDecodeError"):
        deployed(google, files, digest)
