"""GET /openapi.json says what the server does, no more and no less: all that it names is met.

Each request below is made at a real server; its status, content type, headers and body are held against the
document, and at the end nothing of the document is left that no request has met.
"""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from inference.serving import settings
from inference.serving.online import openapi
from inference.serving.online.openapi import Speaks

KINDS = {"GET": "get", "POST": "post"}
STREAM = """
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs):
        yield from inputs
"""
OLD = """
def model_fn(model_dir): return 1
def input_fn(body, content_type): return body
def predict_fn(data, model): return data
def output_fn(prediction, accept): return b"own", "application/x-own"
"""
SLOW = """
import os, time
class Handler:
    def load(self, model_dir):
        while not os.path.exists({gate!r}): time.sleep(0.01)
    def predict(self, inputs): return inputs
"""
FLOOD = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1000) for number in range(120))


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.arange(2.0))
    return file.getvalue()


def parquet() -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), file)
    return file.getvalue()


JSON, LINES, CSV, NPY = "application/json", "application/jsonlines", "text/csv", "application/x-npy"
BODIES = {
    JSON: b"[1]",
    LINES: b"1\n",
    "application/x-jsonlines": b"1\n",
    "application/jsonl": b"1\n",
    CSV: b"1,2\n",
    NPY: npy(),
    "application/vnd.apache.parquet": parquet(),
    "application/x-parquet": parquet(),
}


def raw(served, *requests: bytes) -> list[tuple[int, dict[str, str], bytes]]:
    """The answers to what is sent as it is, each on a connection of its own, all of them open at once."""
    connections = [served.connect() for _ in requests]
    for connection, request in zip(connections, requests, strict=True):
        connection.sendall(request)
    answers = []
    for connection in connections:
        with connection:
            head, _, body = served.rest(connection).partition(b"\r\n\r\n")
        first, *rest = head.decode("latin-1").split("\r\n")
        headers = dict(line.split(": ", 1) for line in rest)
        answers.append((int(first.split()[1]), headers, body))
    return answers


class Held:
    """A server's document, what answers were held against it, and which of it was met."""

    def __init__(self, served) -> None:
        self.document = served.call("GET", openapi.PATH).json
        self.met: set[tuple[str, str, str, str]] = set()

    def check(self, method: str, path: str, answer) -> None:
        status, headers, body = answer
        operation = self.document["paths"][path][KINDS[method]]
        assert str(status) in operation["responses"], f"{method} {path} answered {status}: {body!r}"
        response = operation["responses"][str(status)]
        kind = headers.get("content-type", "")
        content = response.get("content", {})
        assert kind in content if content else not body, f"{method} {path} {status}: {kind!r} {body!r}"
        schema = content.get(kind, {}).get("schema")
        if schema and kind == JSON:
            whole = {**schema, "components": self.document["components"]}
            jsonschema.validate(json.loads(body), whole, jsonschema.Draft202012Validator)
        for name, header in response.get("headers", {}).items():
            assert not header.get("required") or name.lower() in headers
        self.met.add((method, path, str(status), kind if content else ""))

    def kinds(self, status: int) -> list[str]:
        return list(self.document["paths"]["/invocations"]["post"]["responses"][str(status)]["content"])

    @property
    def promised(self) -> set[tuple[str, str, str, str]]:
        return {
            (method.upper(), path, status, kind)
            for path, operations in self.document["paths"].items()
            for method, operation in operations.items()
            for status, response in operation["responses"].items()
            for kind in response.get("content", {"": {}})
        }


def answered(answer) -> tuple[int, dict[str, str], bytes]:
    return answer.status, answer.headers, answer.body


def wire_faults(method: str, path: str) -> list[bytes]:
    """What any route refuses: no HTTP, too slow, too large a body, too many headers."""
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: {JSON}\r\n".encode()
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    return [
        head + b"Bad Name: x\r\n\r\n",
        head,
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n",
        head + FLOOD,
    ]


def test_the_document_and_the_server_say_the_same(echo, serve, tmp_path):
    held = Held(echo)
    gets = [path for path, operations in held.document["paths"].items() if "get" in operations]
    for path in gets:
        held.check("GET", path, answered(echo.call("GET", path)))
        for answer in raw(echo, *wire_faults("GET", path)):
            held.check("GET", path, answer)
    for answer in raw(echo, *wire_faults("POST", "/invocations")):
        held.check("POST", "/invocations", answer)
    for kind, body in BODIES.items():
        held.check("POST", "/invocations", answered(echo.post(body, kind)))
    for kind in held.kinds(200):
        held.check("POST", "/invocations", answered(echo.post(b"[[1]]", Accept=kind)))
    for refused in (
        echo.post(b"[1]", "text/plain"),
        echo.post(b"[1]", JSON, Accept="image/png"),
        echo.post(b'["fail"]'),
        echo.post(b'["nan"]'),
        echo.post(b"{"),
    ):
        held.check("POST", "/invocations", answered(refused))
    loading = serve(SLOW.format(gate=str(tmp_path / "gate")))
    for method, path in (("GET", "/ping"), ("GET", openapi.PATH), ("POST", "/invocations")):
        body = b"[1]" if method == "POST" else None
        answer = loading.call(method, path, body, Content_Type=JSON)
        held.check(method, path, answered(answer))
    assert held.met == held.promised
    assert set(BODIES) == set(held.document["paths"]["/invocations"]["post"]["requestBody"]["content"])


def test_no_route_is_served_that_is_not_in_it(echo):
    routes = echo.call("GET", "/nowhere").error.partition("expected one of ")[2].split(", ")
    document = echo.call("GET", openapi.PATH).json
    assert sorted(routes) == sorted(
        f"{method.upper()} {path}" for path, operations in document["paths"].items() for method in operations
    )


def test_the_timing_headers_that_it_names_are_answered(echo):
    named = echo.call("GET", openapi.PATH).json["paths"]["/invocations"]["post"]
    answer = echo.post(b"[1]", **{parameter["name"]: "slipway-timing" for parameter in named["parameters"]})
    assert "server-timing" in answer.headers
    answer = echo.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes="slipway-timing")
    assert set(answer.headers) & {name.lower() for name in named["responses"]["200"]["headers"]}


def test_a_streaming_handler_s_document_names_what_it_streams(serve):
    served = serve(STREAM).wait_ready()
    content = served.call("GET", openapi.PATH).json["paths"]["/invocations"]["post"]["responses"]["200"][
        "content"
    ]
    for accept in content:
        assert served.post(b"[1]", Accept=accept).headers["content-type"] == accept
    assert served.post(b"[1]", Accept="text/csv").status == 406


def test_an_old_handler_s_document_leaves_its_content_types_to_it(serve):
    served = serve(None, None, {"inference.py": OLD}).wait_ready()
    operation = served.call("GET", openapi.PATH).json["paths"]["/invocations"]["post"]
    assert (
        set(operation["requestBody"]["content"]) == {"*/*"} == set(operation["responses"]["200"]["content"])
    )
    assert "default" in operation["responses"]
    assert served.post(b"\xff", "application/x-odd").headers["content-type"] == "application/x-own"


def test_vertex_s_routes_are_in_it_and_come_before_it():
    chosen = settings.read({"AIP_HEALTH_ROUTE": "/v1/x", "AIP_PREDICT_ROUTE": "/v1/x"})
    assert set(openapi.document(chosen, Speaks.PREDICTIONS)["paths"]["/v1/x"]) == {"get", "post"}


def test_a_platform_s_own_route_of_that_name_wins(serve):
    served = serve(AIP_HEALTH_ROUTE=openapi.PATH, AIP_PREDICT_ROUTE=openapi.PATH).wait_ready()
    assert (served.call("GET", openapi.PATH).status, served.call("GET", openapi.PATH).body) == (200, b"")
    assert served.call("POST", openapi.PATH, b"[1]", Content_Type=JSON).json == [1]


def test_a_job_has_none(keeping):
    assert keeping.call("GET", openapi.PATH).status == 404


@pytest.mark.parametrize("speaks", Speaks)
def test_it_holds_nothing_of_the_machine_or_the_environment(speaks, tmp_path):
    chosen = replace(settings.read({}), model_dir=Path(tmp_path), manifest_sha256="f" * 64)
    text = openapi.text(chosen, speaks).decode()
    assert str(tmp_path) not in text and "f" * 64 not in text and "/opt" not in text
