"""streamRawPredict on a dedicated endpoint, through Google's SDK and plain HTTPS."""

import json

import pytest
import requests
from google.cloud import aiplatform
from waiting import until


@pytest.fixture(scope="module")
def endpoint(google):
    return google.served()


def body(tmp_path, parts, **orders):
    return json.dumps({"parts": parts, "gates": str(tmp_path), **orders}).encode()


def by_hand(endpoint, body, **headers):
    """The answer while it comes; requests verifies it by what REQUESTS_CA_BUNDLE names."""
    url = f"https://{endpoint.dedicated_endpoint_dns}/v1/{endpoint.resource_name}:streamRawPredict"
    headers = {"Content-Type": "application/x-stream", **headers}
    return requests.post(url, data=body, headers=headers, stream=True, timeout=20)


def opened(tmp_path, parts):
    for number in range(1, parts):
        (tmp_path / str(number)).touch()
    return tmp_path


@pytest.mark.parametrize("told", [{}, {"use_dedicated_endpoint": True}])
def test_the_sdk_s_stream_yields_a_line_before_the_container_makes_the_next(endpoint, tmp_path, told):
    headers = {"Content-Type": "application/x-stream"}
    lines = endpoint.stream_raw_predict(body(tmp_path, 4), headers, **told)
    for number, line in enumerate(lines):
        assert line == f"part {number}".encode()
        (tmp_path / str(number + 1)).touch()
    assert number == 3


def test_plain_https_gets_chunks_and_the_headers_that_say_who_answered(endpoint, tmp_path):
    with by_hand(endpoint, body(opened(tmp_path, 3), 3), Accept="text/odd") as answer:
        assert answer.headers["Content-Type"] == "text/odd", "the Accept that the container had"
        assert answer.headers["X-Vertex-AI-Deployed-Model-Id"] == endpoint.list_models()[0].id
        assert answer.headers["Transfer-Encoding"] == "chunked"
        assert answer.content == b"part 0\npart 1\npart 2\n"


def test_raw_predict_waits_for_the_whole(endpoint, tmp_path):
    headers = {"Content-Type": "application/x-stream"}
    answer = endpoint.raw_predict(body(opened(tmp_path, 3), 3), headers)
    assert answer.content == b"part 0\npart 1\npart 2\n"
    assert answer.headers["Content-Length"] == "21"


def test_a_stream_whose_container_breaks_off_has_no_end(google, tmp_path):
    endpoint = google.served()
    orders, found = body(tmp_path, 2, **{"break": True}), []
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        for line in endpoint.stream_raw_predict(orders, {"Content-Type": "application/x-stream"}):
            found.append(line)
            (tmp_path / str(len(found))).touch()
    assert found == [b"part 0", b"part 1"]


def test_a_stream_over_the_endpoint_s_time_breaks_off(google, tmp_path):
    endpoint = aiplatform.Endpoint.create(
        display_name=google.name("endpoint"), dedicated_endpoint_enabled=True, inference_timeout=1
    )
    endpoint.deploy(google.model(), machine_type="n1-standard-2")
    with by_hand(endpoint, body(tmp_path, 2)) as answer:
        pieces = answer.iter_content(None)
        assert next(pieces) == b"part 0\n"
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            next(pieces)


def test_a_container_s_refusal_passes_with_its_status(endpoint):
    headers = {"Content-Type": "application/x-odd"}
    with by_hand(endpoint, b"ab", **headers) as answer:
        assert (answer.status_code, answer.content) == (201, b"ba")
    assert list(endpoint.stream_raw_predict(b"ab", headers)) == [b"ba"], "the SDK does not tell its status"


def test_who_leaves_midway_gives_its_place_in_the_container_back(endpoint, tmp_path):
    with by_hand(endpoint, body(tmp_path, 2)) as answer:
        next(answer.iter_content(None))
    until((tmp_path / "left").exists)


def test_a_shared_endpoint_does_not_stream(google, tmp_path):
    """Source: cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type"""
    path = f"endpoints/{google.shared.name}:streamRawPredict"
    answer = google.ask("POST", path, data=body(tmp_path, 1))
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "FAILED_PRECONDITION")
    assert "not supported on a shared endpoint" in answer.json()["error"]["message"]
