"""Attacks by the way a request is written: its framing, path, Host and headers. Row 17 of the faults, and the
attacks of that list which reach a server: smuggling, path tricks, log injection, absolute addresses.

Every one gets one answer at most, from the route that it names alone, and none of its text comes back as
anything but text.
"""

from __future__ import annotations

import json
import random
import re
import socket
import time

import pytest

from inference.serving.handlers import Answer, Call
from inference.serving.microbatching.batcher import Job
from inference.serving.online.carried import Carrier

HEAD = b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
CHUNKED = b"3\r\n[1]\r\n0\r\n\r\n"
# What a proxy that reads the framing in another way would take for a request of its own.
SMUGGLED = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
CLOSE = b"Connection: close\r\n"


def said(served, request: bytes) -> bytes:
    with served.connect() as connection:
        connection.sendall(request)
        return served.rest(connection)


def refused(answer: bytes, status: int = 400) -> bool:
    """Whether that is one answer, with that status, after which the connection ends."""
    head = answer.partition(b"\r\n\r\n")[0]
    return (
        answer.startswith(b"HTTP/1.1 %d " % status)
        and answer.count(b"HTTP/1.1 ") == 1
        and b"connection: close" in head
        and b"slipway_" not in answer
    )


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", CHUNKED),
        (b"Content-Length: 3\r\nContent-Length: 3\r\n", b"[1]"),
        (b"Content-Length: 3\r\nContent-Length: 90\r\n", b"[1]"),
        (b"Content-Length: 3, 3\r\n", b"[1]"),
        (b"Content-Length: +3\r\n", b"[1]"),
        (b"Content-Length: 0x3\r\n", b"[1]"),
        (b"Content-Length: 3_0\r\n", b"[1]"),
        (b"Content-Length: 3 0\r\n", b"[1]"),
        (b"Content-Length: -3\r\n", b"[1]"),
        (b"Content-Length: \r\n", b"[1]"),
        (b"Content-Length : 3\r\n", b"[1]"),
        (b"Content-Length: 99999999999999999999999\r\n", b"[1]"),
        (b"Transfer-Encoding: xchunked\r\n", CHUNKED),
        (b"Transfer-Encoding: identity\r\n", b"[1]"),
        (b"Transfer-Encoding: chunked, identity\r\n", CHUNKED),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", CHUNKED),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", CHUNKED),
        (b"Transfer-Encoding : chunked\r\n", CHUNKED),
        (b"Transfer-Encoding:\r\n chunked\r\n", CHUNKED),
        (b"Transfer-Encoding: chunked\r\n", b"3\n[1]\n0\n\n"),
        (b"Transfer-Encoding: chunked\r\n", b"0x3\r\n[1]\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"-3\r\n[1]\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"3 \r\n[1]\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"3\r\n[1]XX\r\n0\r\n\r\n"),
        (b"Transfer-Encoding: chunked\r\n", b"fffffffffffffffff3\r\n[1]\r\n0\r\n\r\n"),
        (b"X-Folded: a\r\n b\r\nContent-Length: 3\r\n", b"[1]"),
        (b"X-A: a\r\nContent-Length:\r\n 3\r\n", b"[1]"),
        (b"X-A: a\nX-B: b\r\nContent-Length: 3\r\n", b"[1]"),
        (b"X-A: a\rX-B: b\r\nContent-Length: 3\r\n", b"[1]"),
        (b"X-A: a\0b\r\nContent-Length: 3\r\n", b"[1]"),
        (b"X-A: \x1b[31m\r\nContent-Length: 3\r\n", b"[1]"),
        (b"X\0A: a\r\nContent-Length: 3\r\n", b"[1]"),
        (b": a\r\nContent-Length: 3\r\n", b"[1]"),
    ],
)
def test_request_smuggling_is_refused_and_what_was_hidden_is_never_answered(echo, headers, body):
    assert refused(said(echo, HEAD + headers + b"\r\n" + body + SMUGGLED))


def test_a_request_hidden_in_a_body_is_a_part_of_that_body(echo):
    for headers, body in (
        (b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED),
        (b"Transfer-Encoding: chunked\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
        (b"Transfer-Encoding: chunked\r\n", b'3;x="a"\r\n{]}\r\n0\r\nX-Trailer: ' + b"GET /metrics\r\n\r\n"),
    ):
        assert refused(said(echo, HEAD + CLOSE + headers + b"\r\n" + body))


def test_line_ends_without_carriage_returns_are_no_request(echo):
    whole = HEAD + b"Content-Length: 3\r\n\r\n[1]"
    assert refused(said(echo, whole.replace(b"\r\n", b"\n")))


def test_a_body_coded_on_the_way_is_415_and_not_read_as_if_it_were_plain(echo):
    answer = said(echo, HEAD + CLOSE + b"Transfer-Encoding: gzip, chunked\r\n\r\n" + CHUNKED)
    assert refused(answer, 415)
    assert b"Transfer-Encoding: b'gzip, chunked'" in answer


@pytest.mark.parametrize("protocol", [b"HTTP/1.2", b"HTTP/9.9", b"HTTP/x", b"ICY/1.0", b"HTTP/1.1\t"])
def test_another_protocol_is_refused(echo, protocol):
    assert refused(said(echo, HEAD.replace(b"HTTP/1.1", protocol) + b"Content-Length: 3\r\n\r\n[1]"))


NOT_HERE = [
    "/../ping",
    "/./ping",
    "/ping/",
    "/ping/..",
    "/ping//",
    "//ping",
    "//invocations",
    "//evil.example/ping",
    "/metrics/../ping",
    "/%2e%2e/ping",
    "/..%2fping",
    "/%252e%252e/ping",
    "/%c0%ae%c0%ae/ping",
    "/ping%00",
    "/ping%00.json",
    "/ping%2f",
    "/ping%0d%0aX-Evil:%201",
    "/ping;x=1",
    "/ping\\",
    "/PING",
    "/ping%",
    "/ping%zz",
    "/..\\ping",
    "/etc/passwd",
    "/opt/ml/model/model.pt",
    "/code/handler.py",
    "/?/ping",
    "*",
]


@pytest.mark.parametrize("path", NOT_HERE)
def test_a_path_that_only_looks_like_a_route_is_404(echo, path):
    answer = said(echo, f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode("latin-1") + CLOSE + b"\r\n")
    assert refused(answer, 404)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"x-evil" not in head.lower()
    assert json.loads(body)["error"]["message"].isprintable()


@pytest.mark.parametrize(
    "path",
    [
        "/ping\0",
        "/ping\t",
        "/pi ng",
        "/\xe2\x80\xae",
        "ping",
        "\\ping",
        "http://",
        "http:///ping",
        "file:///ping",
        "evil:80",
    ],
)
def test_a_path_that_is_none_is_400(echo, path):
    assert refused(said(echo, f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode("latin-1") + CLOSE + b"\r\n"))


@pytest.mark.parametrize(
    ("path", "hosts"),
    [
        ("http://evil.example/ping", ["x"]),
        ("https://user:secret@evil.example:1/ping", ["x"]),
        ("/ping", ["evil.example"]),
        ("/ping", ["evil.example", "x"]),
        ("/ping", ["evil.example:99999"]),
        ("/ping", ["169.254.169.254"]),
        ("/ping", ['a b"<script>']),
        ("/ping", []),
    ],
)
def test_a_foreign_host_decides_nothing_and_comes_back_nowhere(echo, path, hosts):
    """Behind a platform Host may be anything: so no route, address or answer is made of it."""
    named = "".join(f"Host: {host}\r\n" for host in hosts)
    for target, status in ((path, b"200"), (path.replace("/ping", "/nowhere"), b"404")):
        answer = said(
            echo,
            f"GET {target} HTTP/1.1\r\n{named}X-Forwarded-Host: evil.example\r\n".encode() + CLOSE + b"\r\n",
        )
        assert answer.startswith(b"HTTP/1.1 " + status)
        assert b"evil" not in answer and b"169.254" not in answer and b"location" not in answer.lower()


@pytest.mark.parametrize(
    "path",
    [
        *("/models", "/models/x", "/models?url=http://evil.example/x.mar", "/v2/repository/models/x/load"),
        *("/v1/models", "/v1/models/x:load", "/api/2.0/mlflow/registered-models/create", "/workflows"),
        *(
            "/predictions/x",
            "/explanations/x",
            "/admin",
            "/shutdown",
            "/quit",
            "/reload",
            "/docs",
            "/debug/pprof",
        ),
        *("/moto-api/reset", "/_local/status", "/latest/meta-data", "/latest/api/token"),
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "GET"])
def test_nothing_registers_a_model_or_manages_the_server_while_it_runs(echo, method, path):
    assert echo.call(method, path, b"{}" if method != "GET" else None).status == 404


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD", "PROPFIND"])
@pytest.mark.parametrize("path", ["/ping", "/invocations", "/metrics", "/openapi.json"])
def test_a_method_that_a_route_does_not_have_is_405_and_echoes_nothing(echo, method, path):
    answer = echo.call(method, path, X_Secret="hush")
    assert (answer.status, answer.headers["allow"] in ("GET", "POST")) == (405, True)
    assert b"hush" not in answer.body
    assert not [name for name in answer.headers if name.startswith("access-control")]


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("headers", [120, 250])
def test_a_header_flood_in_one_piece_is_refused(echo, whole, headers):
    flood = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(headers))
    request = b"GET /ping HTTP/1.1\r\nHost: x\r\n" + flood + (b"\r\n" if whole else b"")
    assert refused(said(echo, request), 431)


def test_headers_below_the_limit_are_taken(echo):
    flood = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(60))
    assert said(echo, b"GET /ping HTTP/1.1\r\n" + CLOSE + flood + b"\r\n").startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("piece", ["a,", ";", "a/b;q=0.1,", "application/json;"])
def test_a_list_of_content_types_without_end_is_not_read_to_its_end(echo, piece):
    long = piece * (60_000 // len(piece))
    assert echo.post(b"[1]", Accept=f"application/json,{long}").status == 406
    assert echo.post(b"[1]", f"application/json;{long}").status == 415
    assert echo.post(b"[1]", "application/json", Accept=f"application/json,{piece * 100}").status == 200


def test_a_large_body_behind_small_headers_is_no_header_flood(echo):
    body = b'["' + b"x" * 200_000 + b'"]'
    request = HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body
    answer = said(echo, request + request.replace(b"Host: x", b"Connection: close"))
    assert answer.count(b"HTTP/1.1 200") == 2


def bodies(answers: bytes) -> list[bytes]:
    """The bodies of answers that all say how long they are."""
    found = []
    while answers:
        head, _, rest = answers.partition(b"\r\n\r\n")
        length = int(re.search(rb"content-length: (\d+)", head)[1])
        found.append(rest[:length])
        answers = rest[length:]
    return found


@pytest.mark.parametrize("seed", range(8))
def test_however_requests_are_cut_into_packets_the_same_ones_are_read(echo, seed):
    """What one reader takes for a body and another for a request begins where the two are told apart."""
    dice = random.Random(seed)
    texts = [b'["%s"]' % (b"%d" % number * dice.choice([1, 9000, 50_000])) for number in range(8)]
    sent = b""
    for text in texts:
        framed = HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(text), text)
        if dice.random() < 0.3:
            half = len(text) // 2
            pieces = b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (half, text[:half], len(text) - half, text[half:])
            framed = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + pieces
        sent += framed
    cuts = sorted(dice.sample(range(len(sent)), 12))
    with echo.connect() as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            connection.sendall(sent[start:end])
            time.sleep(dice.choice([0, 0.005]))
        connection.sendall(b"GET /ping HTTP/1.1\r\n" + CLOSE + b"\r\n")
        assert bodies(echo.rest(connection)) == [*texts, b""]


FORGED = "x\r\nslipway: error: forged\x1b[31m\u202e\u2028\x00"
NAMES_WHAT_IT_GOT = """
class Handler:
    def load(self, model_dir): pass
    def preprocess(self, instances): raise ValueError(instances[0])
    def predict(self, inputs): return inputs
"""


def test_one_refused_request_is_one_line_of_the_log_whatever_it_holds(serve):
    served = serve(NAMES_WHAT_IT_GOT, SLIPWAY_WORKERS="1").wait_ready()
    before = served.log
    for _ in range(3):
        answer = served.post(json.dumps([FORGED]).encode())
        assert answer.status == 400
        assert answer.error.isprintable()
    new = served.log.removeprefix(before)
    assert new.endswith("\n") and new.count("\n") == 3
    assert new[:-1].replace("\n", "").isprintable()
    assert all(line.startswith("slipway: 400: ") for line in new.splitlines())


def test_cr_and_lf_in_attributes_and_paths_begin_no_header_and_no_line(echo):
    before = echo.log
    for attributes in (
        "slipway-timing%0d%0aX-Evil: 1",
        "slipway-timing\tX-Evil: 1",
        "slipway-timing\\r\\nX-Evil: 1",
    ):
        answer = echo.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes=attributes, Accept="application/json")
        assert answer.status == 200
        assert "evil" not in str(answer.headers).lower()
    raw = b"X-Amzn-SageMaker-Custom-Attributes: slipway-timing\r\n\tX-Evil: 1\r\nContent-Length: 3\r\n\r\n[1]"
    assert refused(said(echo, HEAD + CLOSE + raw))
    assert echo.log == before


class Careless:
    """An old handler that answers with headers out of the body."""

    shape = "careless"

    def answer(self, call: Call) -> Answer:
        name, text = json.loads(call.body)
        return Answer(200, b"[]", "application/json", {name: text})

    def answer_all(self, calls: list[Call]) -> list[Answer]:
        return [self.answer(call) for call in calls]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("x-own", "a\r\nX-Evil: 1"),
        ("x-own\r\nX-Evil", "1"),
        ("x-own", "a\n\nHTTP/1.1 200 OK"),
        ("x-own", "\0"),
    ],
)
def test_a_handler_that_answers_with_what_a_caller_sent_splits_no_response(capsys, name, text):
    jobs = [Job(Call(json.dumps(pair).encode()), print) for pair in (["x-own", "fine"], [name, text])]
    ((_, fine), (_, split)) = next(iter(Carrier(Careless()).answers(jobs)))
    assert fine.headers == ((b"x-own", b"fine"),)
    assert (split.status, split.headers, b"handler_failed" in split.body) == (500, (), True)
    assert capsys.readouterr().err.count("\n") == 1
