"""What jobs read and leave, and their end."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from waiting import until

FINAL = ("SUCCEEDED", "FAILED", "CANCELLED")


class Bucket:
    """A folder of the tests' bucket, one for each test."""

    def __init__(self, google: Any) -> None:
        self._google = google
        self._client = google.storage.bucket(google.bucket)
        self.folder = google.name("jobs")

    def uri(self, name: str = "") -> str:
        return f"gs://{self._google.bucket}/{self.folder}/{name}"

    def put(self, name: str, content: str | bytes) -> str:
        self._client.blob(f"{self.folder}/{name}").upload_from_string(content)
        return self.uri(name)

    def left(self, below: str = "") -> dict[str, str]:
        prefix = f"{self.folder}/{below}"
        blobs = self._client.list_blobs(prefix=prefix)
        return {blob.name.removeprefix(prefix): blob.download_as_text() for blob in blobs}


@pytest.fixture
def bucket(google: Any) -> Bucket:
    return Bucket(google)


@pytest.fixture
def left_clean(google: Any) -> Iterator[None]:
    """No container's directory is there after the test that was not there before."""
    before = set(google.home.glob("containers/*"))
    yield
    assert set(google.home.glob("containers/*")) <= before


@pytest.fixture
def ended(google: Any) -> Any:
    """The job of that resource name, asked by hand, once it has ended: the SDK asks every five seconds."""

    def wait(name: str) -> Any:
        path = name.partition("/locations/")[2].partition("/")[2]
        found: dict[str, Any] = {}

        def over() -> bool:
            found.update(google.ask("GET", path).json())
            return str(found["state"]).endswith(FINAL)

        until(over, 60)
        return found

    return wait


@pytest.fixture
def predicted(bucket: Bucket) -> Any:
    """A batch job's result lines and its errors file, by the names in which they must lie."""

    def read(job: Any) -> tuple[list[Any], str]:
        folder = job["outputInfo"]["gcsOutputDirectory"].removeprefix(bucket.uri()) + "/"
        files = bucket.left(folder)
        errors = files.pop("prediction.errors_stats-00000-of-00001")
        names = [f"prediction.results-{at:05}-of-{len(files):05}" for at in range(len(files))]
        assert sorted(files) == names
        return [json.loads(line) for name in names for line in files[name].splitlines()], errors

    return read
