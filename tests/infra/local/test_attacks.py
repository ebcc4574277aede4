"""The local clouds as servers on a developer's machine: no web page and no neighbour gets at them.

A page may be at a name that leads to 127.0.0.1 (DNS rebinding), or send what needs no permission (CSRF).
test_gateway.py and vertex/ have the plain cases; here are those that try to be read in two ways.
"""

from __future__ import annotations

import socket
from typing import Any

import pytest
from processes import listening


@pytest.fixture
def said(local_cloud: Any) -> Any:
    """What the local cloud answers to bytes; {port} in them is its port."""

    def say(request: str) -> tuple[int, str]:
        with socket.create_connection(("127.0.0.1", local_cloud.port), timeout=20) as connection:
            connection.sendall(request.format(port=local_cloud.port).encode("latin-1"))
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
        answer = b"".join(parts).decode("latin-1")
        return int(answer.split()[1]), answer

    return say


OWN = "127.0.0.1:{port}"


def listing(target: str = "/", *headers: str) -> str:
    return (
        f"GET {target} HTTP/1.1\r\n"
        + "".join(f"{line}\r\n" for line in headers)
        + "Connection: close\r\n\r\n"
    )


def test_the_plain_request_is_answered(said):
    assert said(listing("/", f"Host: {OWN}"))[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        (),
        ("Host:",),
        ("Host: evil.example", f"Host: {OWN}"),
        (f"Host: {OWN}", "Host: evil.example"),
        (f"Host: {OWN}, evil.example",),
        (f"Host: {OWN}.evil.example",),
        (f"Host: {OWN}@evil.example",),
        (f"Host: evil.example#{OWN}",),
        (f"Host: evil.example/{OWN}",),
        ("Host: localhost.evil.example:{port}",),
        ("Host: evil.example.localhost.:{port}",),
        ("Host: [::1]:{port}",),
        ("Host: 0.0.0.0:{port}",),
        ("Host: 2130706433:{port}",),
        ("Host: 127.1:{port}",),
        ("Host: evil.example", f"X-Forwarded-Host: {OWN}"),
        (f"Host: {OWN}", "Origin: http://evil.example", f"Origin: http://{OWN}"),
        (f"Host: {OWN}", f"Origin: http://{OWN}.evil.example"),
        (f"Host: {OWN}", f"Origin: http://{OWN}@evil.example"),
        (f"Host: {OWN}", "Origin: null"),
        (f"Host: {OWN}", "Origin: file://"),
        (f"Host: {OWN}", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"),
    ],
)
@pytest.mark.parametrize(
    "target", ["/", "/_local/status", "/storage/v1/b?project=x", "/endpoints/x/invocations"]
)
def test_a_host_or_origin_that_could_be_read_in_two_ways_is_refused(said, target, headers):
    status, answer = said(listing(target, *headers))
    assert status in (400, 403, 421), answer
    assert "access-control" not in answer.lower()


@pytest.mark.parametrize("target", ["/", "/_local/status"])
def test_a_whole_address_in_the_request_does_not_stand_for_its_host(said, target):
    status, _ = said(listing(f"http://{OWN}{target}", "Host: evil.example"))
    assert status in (400, 403, 421)


@pytest.mark.parametrize(
    "framing",
    [
        "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        "Content-Length: 2\r\nContent-Length: 40\r\n\r\n{{}}",
        "Transfer-Encoding: xchunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n",
        "X-A: a\r\n b: c\r\nContent-Length: 2\r\n\r\n{{}}",
        "X-A: a\nOrigin: x\r\nContent-Length: 2\r\n\r\n{{}}",
    ],
)
def test_a_request_that_hides_another_is_refused(said, framing):
    hidden = f"GET / HTTP/1.1\r\nHost: {OWN}\r\nConnection: close\r\n\r\n"
    head = f"POST / HTTP/1.1\r\nHost: {OWN}\r\nX-Amz-Target: SageMaker.ListModels\r\n"
    status, answer = said(head + framing + hidden)
    assert status == 400
    assert "ListAllMyBuckets" not in answer


def test_it_listens_on_this_machine_alone(local_cloud):
    """Its own port, the one for dedicated endpoints, and those of its containers."""
    open_to = listening(local_cloud.pid)
    assert ("127.0.0.1", local_cloud.port) in open_to
    assert {address for address, _ in open_to} == {"127.0.0.1"}
