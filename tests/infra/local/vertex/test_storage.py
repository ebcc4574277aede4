"""Cloud Storage as google-cloud-storage knows it."""

import os
import random

import pytest
import requests
from google.api_core import exceptions
from google.cloud.storage import transfer_manager


@pytest.fixture
def bucket(google):
    return google.storage.bucket(google.bucket)


@pytest.mark.parametrize("size", [0, 1, 100_000, 9_000_000])
def test_what_is_uploaded_is_downloaded_to_the_last_byte(bucket, tmp_path, size):
    """Above 8 MB the client uploads in a session of its own."""
    content = random.Random(size).randbytes(size)  # noqa: S311 - no secret
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(content)
    blob = bucket.blob(f"bytes/{size}.bin")
    blob.upload_from_filename(source, checksum="crc32c")
    blob.download_to_filename(target, checksum="crc32c")
    assert target.read_bytes() == content
    assert bucket.get_blob(blob.name).size == size


@pytest.mark.parametrize(
    "content", [b"\n", b"\r\n", b"a\r", b"--", b"\r\n--x\r\n", b"{", b"\xff\x00", "ü".encode()]
)
def test_bytes_that_mean_something_to_the_protocol_are_bytes(bucket, content):
    blob = bucket.blob("odd.bin")
    blob.upload_from_string(content, content_type="text/plain")
    assert blob.download_as_bytes() == content


def test_an_upload_in_pieces_is_whole(bucket):
    content = os.urandom(700_000)
    blob = bucket.blob("pieces.bin", chunk_size=256 * 1024)
    blob.upload_from_string(content)
    assert bucket.blob("pieces.bin").download_as_bytes() == content
    assert bucket.blob("pieces.bin").download_as_bytes(start=100, end=199) == content[100:200]


NAMES = [
    "a",
    "a/b",
    "a//b",
    "blank here",
    "plus+and&and=and?and#",
    "ünïcode/😀",
    "../up",
    "dot/./x",
    "%41",
    "x" * 900,
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_is_an_object_of_its_own(bucket, name):
    bucket.blob(f"names/{name}").upload_from_string(f"of {name}")
    assert bucket.blob(f"names/{name}").download_as_text() == f"of {name}"
    assert f"names/{name}" in [one.name for one in bucket.list_blobs(prefix="names/")]


def test_lists_have_prefixes_delimiters_and_pages_in_order(bucket):
    for name in ("list/b/2", "list/a", "list/b/1", "list/c"):
        bucket.blob(name).upload_from_string(name)
    assert [one.name for one in bucket.list_blobs(prefix="list/", page_size=1)] == [
        "list/a",
        "list/b/1",
        "list/b/2",
        "list/c",
    ]
    found = bucket.list_blobs(prefix="list/", delimiter="/", page_size=2)
    assert [one.name for one in found] == ["list/a", "list/c"]
    assert found.prefixes == {"list/b/"}
    assert [one.name for one in bucket.list_blobs(prefix="list/", max_results=3)][-1] == "list/b/2"


def test_preconditions_are_kept(bucket):
    blob = bucket.blob("once.txt")
    blob.upload_from_string("first", if_generation_match=0)
    generation = bucket.get_blob("once.txt").generation
    with pytest.raises(exceptions.PreconditionFailed, match="pre-conditions"):
        bucket.blob("once.txt").upload_from_string("second", if_generation_match=0)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("once.txt").delete(if_generation_match=generation + 1)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.blob("once.txt", chunk_size=256 * 1024).upload_from_string(
            "x" * 300_000, if_generation_match=0
        )
    assert blob.download_as_text() == "first"
    blob.upload_from_string("third", if_generation_match=generation)
    assert blob.download_as_text() == "third"
    blob.delete(if_generation_match=bucket.get_blob("once.txt").generation)
    assert bucket.get_blob("once.txt") is None


def test_one_of_two_who_create_at_once_wins(google, bucket):
    def create(number):
        try:
            bucket.blob("race.txt").upload_from_string(str(number), if_generation_match=0)
        except exceptions.PreconditionFailed:
            return 0
        return 1

    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(create, range(8))) == 1


def test_many_files_at_once_and_composed(bucket, tmp_path):
    for number in range(6):
        (tmp_path / f"{number}.txt").write_text(str(number))
    names = [f"{number}.txt" for number in range(6)]
    results = transfer_manager.upload_many_from_filenames(
        bucket,
        names,
        source_directory=str(tmp_path),
        blob_name_prefix="many/",
        worker_type=transfer_manager.THREAD,
    )
    assert results == [None] * 6
    whole = bucket.blob("many/whole.txt")
    whole.compose([bucket.blob(f"many/{name}") for name in names])
    assert whole.download_as_text() == "012345"
    assert bucket.copy_blob(whole, bucket, "many/copy.txt").size == 6


def test_what_is_not_there_is_said_by_name(google, bucket):
    with pytest.raises(exceptions.NotFound, match=f"No such object: {bucket.name}/nothing.txt"):
        bucket.blob("nothing.txt").download_as_bytes()
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        google.storage.bucket("no-such-bucket-here").blob("x").upload_from_string("x")
    with pytest.raises(exceptions.NotFound, match="bucket does not exist"):
        google.storage.get_bucket("no-such-bucket-here")
    with pytest.raises(exceptions.Conflict):
        google.storage.create_bucket(bucket.name)


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
@pytest.mark.parametrize("path", ["/storage/v1/b", "/v1/projects/slipway-tests/locations/us-central1/models"])
def test_a_web_page_gets_nothing(google, headers, path):
    assert requests.get(google.url + path, headers=headers, timeout=10).status_code in (403, 421)


def test_s3_and_cloud_storage_do_not_see_each_other(google):
    """An S3 bucket may be called `storage`: what AWS's SDK signs is AWS's."""
    import boto3

    s3 = boto3.Session().client(
        "s3",
        endpoint_url=google.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    s3.create_bucket(Bucket="storage")
    s3.put_object(Bucket="storage", Key="v1/b", Body=b"mine")
    assert s3.get_object(Bucket="storage", Key="v1/b")["Body"].read() == b"mine"
    assert google.storage.lookup_bucket("storage") is None
    s3.close()


def test_a_bucket_is_its_project_s(google):
    """A name is taken in all projects once it is taken in one: who owns a bucket must be seen."""
    found = google.storage.get_bucket(google.bucket)
    model = google.model()
    assert str(found.project_number) == model.resource_name.split("/")[1]
    google.storage.create_bucket("of-another-project", project="another-project")
    assert google.storage.get_bucket("of-another-project").project_number != found.project_number
    listed = [one.name for one in google.storage.list_buckets()]
    assert google.bucket in listed
    assert "of-another-project" not in listed
    assert [one.name for one in google.storage.list_buckets(project="another-project")] == [
        "of-another-project"
    ]
    assert list(google.storage.list_buckets(prefix="no-such")) == []
