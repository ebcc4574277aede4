"""The local cloud's one address: who may speak to it, and that a bucket is its owner's."""

import http.client
import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

OTHER_ACCOUNT = "999999999999"
MEBIBYTE = 1024 * 1024


@pytest.fixture
def ask(local_cloud: Any) -> Callable[..., http.client.HTTPResponse]:
    """One raw request, its Host as given; the answer is read whole."""

    def request(method: str, path: str, host: str = "", body: bytes = b"", **headers: str) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", local_cloud.port, timeout=20)
        connection.putrequest(method, path, skip_host=True)
        connection.putheader("Host", host.format(port=local_cloud.port) or f"127.0.0.1:{local_cloud.port}")
        connection.putheader("Content-Length", str(len(body)))
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value.format(port=local_cloud.port))
        connection.endheaders(body)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        connection.close()
        return answer

    return request


@pytest.fixture
def bucket(local_cloud: Any, request: pytest.FixtureRequest) -> str:
    name = f"b-{abs(hash(request.node.nodeid)):x}"
    local_cloud.client("s3").create_bucket(Bucket=name)
    return name


def refusal(call: Callable[..., Any], **arguments: Any) -> tuple[str, int]:
    """The code and the HTTP status with which AWS's client was refused."""
    with pytest.raises(ClientError) as caught:
        call(**arguments)
    response = caught.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.2:{port}"]
)
def test_a_host_that_is_not_its_own_is_refused(ask: Any, host: str) -> None:
    answer = ask("GET", "/", host)
    assert answer.status == 421
    assert "is not the local cloud's" in json.loads(answer.text)["message"]


@pytest.mark.parametrize("host", ["127.0.0.1:{port}", "localhost:{port}"])
def test_its_own_hosts_are_served(ask: Any, host: str) -> None:
    assert ask("GET", "/", host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:{port}", "http://127.0.0.1:1"]
)
def test_a_foreign_origin_is_refused(ask: Any, origin: str) -> None:
    assert ask("GET", "/", Origin=origin).status == 403


def test_a_foreign_origin_is_refused_on_the_data_plane_too(ask: Any) -> None:
    assert ask("POST", "/endpoints/any/invocations", Origin="http://evil.example").status == 403


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_another_sites_page_is_refused_though_it_names_no_origin(ask: Any, site: str) -> None:
    assert ask("GET", "/", Sec_Fetch_Site=site).status == 403


def test_its_own_origin_is_served_without_opening_it_to_others(ask: Any) -> None:
    answer = ask("GET", "/", Origin="http://127.0.0.1:{port}")
    assert answer.status == 200
    assert not [name for name in dict(answer.getheaders()) if name.lower().startswith("access-control")]


@pytest.mark.parametrize(
    "path", ["/moto-api", "/moto-api/reset", "/moto-api/data.json", "/latest/meta-data/iam"]
)
def test_motos_own_doors_are_closed(ask: Any, local_cloud: Any, bucket: str, path: str) -> None:
    assert ask("POST", path).status == 404
    local_cloud.client("s3").head_bucket(Bucket=bucket)


def test_an_account_of_ones_own_choice_by_motos_header_is_not_believed(ask: Any, bucket: str) -> None:
    answer = ask("GET", f"/{bucket}?list-type=2", x_moto_account_id=OTHER_ACCOUNT)
    assert answer.status == 200


def test_an_operation_that_nobody_does_is_refused_by_name(local_cloud: Any) -> None:
    code, status = refusal(local_cloud.client("sagemaker").create_hub, HubName="hub", HubDescription="x")
    assert (code, status) == ("UnknownOperationException", 400)


def test_a_control_plane_body_that_is_not_json_is_refused(ask: Any) -> None:
    answer = ask("POST", "/", body=b"{", X_Amz_Target="SageMaker.ListModels")
    assert (answer.status, json.loads(answer.text)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize("owner", ["123456789012", None])
def test_the_owner_may_use_the_bucket(local_cloud: Any, bucket: str, owner: str | None) -> None:
    expected = {"ExpectedBucketOwner": owner} if owner else {}
    s3 = local_cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="a b/ü", Body=b"x", Metadata={"with_underscore": "1"}, **expected)
    assert s3.get_object(Bucket=bucket, Key="a b/ü", **expected)["Metadata"] == {"with_underscore": "1"}


@pytest.mark.parametrize("call", ["put_object", "get_object", "delete_object"])
def test_a_bucket_of_another_account_than_expected_is_refused(
    local_cloud: Any, bucket: str, call: str
) -> None:
    s3 = local_cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"as it was")
    arguments = {"Bucket": bucket, "Key": "k", "ExpectedBucketOwner": OTHER_ACCOUNT}
    assert refusal(getattr(s3, call), **arguments) == ("AccessDenied", 403)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"as it was"


def test_the_source_of_a_copy_must_be_the_expected_owners(local_cloud: Any, bucket: str) -> None:
    s3 = local_cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    copy = {"Bucket": bucket, "Key": "copy", "CopySource": {"Bucket": bucket, "Key": "k"}}
    assert refusal(s3.copy_object, **copy, ExpectedSourceBucketOwner=OTHER_ACCOUNT) == ("AccessDenied", 403)
    s3.copy_object(**copy, ExpectedSourceBucketOwner="123456789012")


def test_a_bucket_that_is_not_there_is_that_whoever_is_expected_to_own_it(local_cloud: Any) -> None:
    listing = {"Bucket": "nowhere-to-be-found", "ExpectedBucketOwner": OTHER_ACCOUNT}
    assert refusal(local_cloud.client("s3").list_objects_v2, **listing) == ("NoSuchBucket", 404)


def test_another_account_may_not_read_the_bucket(local_cloud: Any, bucket: str) -> None:
    stranger = local_cloud.client("s3", account=OTHER_ACCOUNT)
    assert refusal(stranger.list_objects_v2, Bucket=bucket) == ("AccessDenied", 403)


def test_an_access_key_of_twelve_digits_is_that_account(local_cloud: Any) -> None:
    assert local_cloud.client("sts").get_caller_identity()["Account"] == "123456789012"
    stranger = local_cloud.client("sts", account=OTHER_ACCOUNT)
    assert stranger.get_caller_identity()["Account"] == OTHER_ACCOUNT


def test_a_large_object_comes_back_whole_and_in_part(local_cloud: Any, bucket: str, tmp_path: Any) -> None:
    s3, body = local_cloud.client("s3"), os.urandom(17 * MEBIBYTE + 3)
    (tmp_path / "up").write_bytes(body)
    s3.upload_file(str(tmp_path / "up"), bucket, "large")  # in parts
    s3.download_file(bucket, "large", str(tmp_path / "down"))  # by ranges
    assert (tmp_path / "down").read_bytes() == body
    assert s3.get_object(Bucket=bucket, Key="large")["Body"].read() == body
    part = s3.get_object(Bucket=bucket, Key="large", Range="bytes=-10")
    assert (part["Body"].read(), part["ContentRange"]) == (
        body[-10:],
        f"bytes {len(body) - 10}-{len(body) - 1}/{len(body)}",
    )


def test_conditions_on_a_large_object_are_kept(local_cloud: Any, bucket: str) -> None:
    s3 = local_cloud.client("s3")
    tag = s3.put_object(Bucket=bucket, Key="large", Body=bytes(MEBIBYTE))["ETag"]
    large = {"Bucket": bucket, "Key": "large"}
    assert refusal(s3.get_object, **large, IfMatch='"other"') == ("PreconditionFailed", 412)
    assert refusal(s3.get_object, **large, IfNoneMatch=tag) == ("304", 304)
    assert refusal(s3.get_object, **large, Range=f"bytes={MEBIBYTE}-") == ("InvalidRange", 416)


def test_a_presigned_url_is_answered(ask: Any, local_cloud: Any, bucket: str) -> None:
    s3 = local_cloud.client("s3")
    s3.put_object(Bucket=bucket, Key="k", Body=b"x" * MEBIBYTE)
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert ask("GET", url.removeprefix(local_cloud.url)).text == "x" * MEBIBYTE


@pytest.mark.parametrize("host", ["localhost", "s3.localhost"])
def test_a_bucket_may_be_named_in_the_host(ask: Any, local_cloud: Any, bucket: str, host: str) -> None:
    local_cloud.client("s3").put_object(Bucket=bucket, Key="k", Body=b"by host", ACL="public-read")
    assert ask("GET", "/k", f"{bucket}.{host}:{{port}}").text == "by host"
