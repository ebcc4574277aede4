"""Attacks by what a request carries: pickles, bombs, addresses to fetch, documents that no parser likes.

Rows 14 to 17 of the faults, and the attacks of that list which reach a server: each is refused with 4xx, runs
nothing, opens no connection, and costs no memory to speak of.
"""

from __future__ import annotations

import gzip
import io
import json
import pickle
import socket
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from processes import listening, resident

MIB = 2**20
JSON, NPY = "application/json", "application/x-npy"
# By which other servers have been made to unpickle, to unpack, to parse or to fetch.
NOT_SPOKEN = [
    "application/x-pickle",
    "application/python-pickle",
    "application/vnd.bentoml+pickle",
    "application/octet-stream",
    "application/x-joblib",
    "application/x-python-serialize",
    "application/x-npz",
    "application/zip",
    "application/x-yaml",
    "application/xml",
    "multipart/form-data; boundary=x",
    "application/x-www-form-urlencoded",
]
SPOKEN = [
    JSON,
    "application/jsonlines",
    "text/csv",
    "text/csv; header=present",
    NPY,
    "application/vnd.apache.parquet",
]


class Runs:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def __reduce__(self):
        return (open, (str(self._marker), "w"))


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    return tmp_path / "ran"


@pytest.fixture
def attacks(marker: Path) -> dict[str, bytes]:
    """Bodies that run code where they are unpickled."""
    objects, many = io.BytesIO(), io.BytesIO()
    array = np.array([Runs(marker)], dtype=object)
    np.save(objects, array, allow_pickle=True)
    np.savez(many, a=array)
    by_hand = b"cposix\nsystem\n(S'touch %s'\ntR." % str(marker).encode()
    return {
        "pickle": pickle.dumps(Runs(marker)),
        "the oldest pickle": pickle.dumps(Runs(marker), 0),
        "by hand": by_hand,
        "npy of objects": objects.getvalue(),
        "npz of objects": many.getvalue(),
        "in JSON": json.dumps(
            [{"py/reduce": [{"py/function": "posix.system"}, ["touch " + str(marker)]]}]
        ).encode(),
        "yaml": f"!!python/object/apply:os.system ['touch {marker}']\n".encode(),
        "xml": b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><x>&e;</x>',
    }


def test_the_pickles_do_run_where_they_are_unpickled(attacks, marker):
    pickle.loads(attacks["pickle"]).close()
    assert marker.exists()
    marker.unlink()
    np.load(io.BytesIO(attacks["npy of objects"]), allow_pickle=True)[0].close()
    assert marker.exists()


@pytest.mark.parametrize("content_type", NOT_SPOKEN)
def test_twelve_content_types_that_are_not_spoken_are_415_and_run_nothing(
    echo, attacks, marker, content_type
):
    for body in attacks.values():
        answer = echo.post(body, content_type)
        assert (answer.status, answer.json["error"]["code"]) == (415, "unsupported_media_type")
    assert not marker.exists()


@pytest.mark.parametrize("content_type", SPOKEN)
def test_a_pickle_under_a_content_type_that_is_spoken_is_400_and_runs_nothing(
    echo, attacks, marker, content_type
):
    statuses = {name: echo.post(body, content_type).status for name, body in attacks.items()}
    # To a reader of JSON or CSV some of them are harmless text.
    harmless = {"in JSON"} if content_type == JSON or "jsonlines" in content_type else set()
    harmless |= {"in JSON", "yaml", "xml", "by hand", "the oldest pickle"} if "csv" in content_type else set()
    assert {name for name, status in statuses.items() if status != 400} <= harmless
    assert set(statuses.values()) <= {200, 400}
    assert not marker.exists()


@pytest.mark.parametrize("content_type", [*NOT_SPOKEN, *SPOKEN])
def test_no_pickle_runs_in_a_job_either(keeping, attacks, marker, content_type):
    for body in attacks.values():
        assert keeping.post(body, content_type).status in (200, 400, 415)
    assert not marker.exists()


@pytest.mark.parametrize("accept", ["application/x-pickle", "application/octet-stream", "application/x-npz"])
def test_no_answer_is_pickled(echo, accept):
    assert echo.post(b"[1]", Accept=accept).status == 406


def gzipped(mib: int) -> bytes:
    """So many MiB of zeros, a thousandth of that long: a file may be of many parts."""
    return gzip.compress(bytes(MIB)) * mib


@pytest.mark.parametrize(
    "encoding", ["gzip", "x-gzip", "deflate", "br", "zstd", "gzip, gzip", "GZIP", "compress"]
)
def test_a_compressed_bomb_is_415_and_never_inflated(echo, encoding):
    before = resident(echo.process.pid)
    body = zlib.compress(bytes(MIB * 50)) if encoding == "deflate" else gzipped(1000)
    for content_type in (JSON, NPY):
        answer = echo.post(body, content_type, Content_Encoding=encoding)
        assert answer.status == 415
    assert resident(echo.process.pid) - before < 20 * MIB


@pytest.mark.parametrize("content_type", SPOKEN)
def test_a_bomb_that_says_it_is_plain_is_400_and_never_inflated(echo, content_type):
    before = resident(echo.process.pid)
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("arr_0.npy", bytes(100 * MIB))
    for body in (gzipped(1000), bomb.getvalue()):
        assert echo.post(body, content_type).status == 400
    assert resident(echo.process.pid) - before < 20 * MIB


def test_an_npy_that_claims_to_be_huge_is_400_and_allocates_nothing(echo):
    before = resident(echo.process.pid)
    for shape in (
        "(1099511627776,)",
        "(4294967296, 4294967296)",
        "(9223372036854775807,)",
        "(1, " * 40 + ")" * 40,
    ):
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
        body = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8)
        assert echo.post(body, NPY).status == 400
    assert resident(echo.process.pid) - before < 20 * MIB


def chunked(chunks: int) -> bytes:
    """A JSON text in so many chunks of a byte."""
    text = b'["' + b"x" * (chunks - 4) + b'"]'
    body = b"".join(b"1\r\n%c\r\n" % byte for byte in text) + b"0\r\n\r\n"
    head = b"POST /invocations HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + body


@pytest.mark.parametrize(("chunks", "status"), [(65_535, b"200"), (65_537, b"400")])
def test_65537_chunks_of_a_byte_are_one_too_many(echo, chunks, status):
    """Row 15."""
    before = resident(echo.process.pid)
    with echo.connect() as connection:
        connection.sendall(chunked(chunks))
        assert echo.rest(connection)[9:12] == status
    assert resident(echo.process.pid) - before < 20 * MIB


HOSTILE = {
    "NaN": b"[NaN]",
    "-Infinity": b"[-Infinity]",
    "Infinity": b'{"instances": [Infinity]}',
    "a number beyond what there is": b"[1e999]",
    "the same, negative and long": b"[-" + b"9" * 400 + b"]",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep and unclosed": b'[{"a":' * 200_000,
    "a huge integer": b"[" + b"9" * 5000 + b"]",
    "a lone surrogate": b'["\\ud800"]',
    "surrogates the wrong way round": b'["\\udc00\\ud800"]',
    "half a character": b'["\xc3"]',
    "an overlong character": b'["\xc0\xaf"]',
    "a surrogate in UTF-8": b'["\xed\xa0\x80"]',
    "beyond Unicode": b'["\xf4\x90\x80\x80"]',
    "UTF-16": '["a"]'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf[1]",
    "NUL": b"[1]\0",
    "a control character": b'["\x01"]',
    "two documents": b"[1][2]",
    "a comment": b"[1] // x",
    "a trailing comma": b"[1,]",
    "single quotes": b"['a']",
    "hexadecimal": b"[0x10]",
    "a leading zero": b"[01]",
    "a plus": b"[+1]",
    "nothing": b"",
    "blanks": b" \n\t ",
    "a scalar": b"7",
    "an address alone": b'"http://169.254.169.254/"',
    "instances twice over": b'{"instances": {"instances": []}}',
}


@pytest.mark.parametrize("what", HOSTILE)
def test_a_json_document_that_is_none_is_400(echo, what):
    """Row 16."""
    answer = echo.post(HOSTILE[what])
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad_request")
    assert len(answer.body) < 1000 and answer.error.isprintable()


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (b'[{"a": 1, "a": 2}]', [{"a": 2}]),
        (b'{"instances": [1], "instances": [2]}', {"predictions": [2]}),
        (b"[18446744073709551616]", [18446744073709551616.0]),
        (b'["\\ud83d\\ude00", "\\u0000"]', ["\U0001f600", "\0"]),
        (b'{"__proto__": {"x": 1}, "__class__": "os"}', {"__proto__": {"x": 1}, "__class__": "os"}),
        (b'[{"$ref": "#"}, "{{7*7}}", "${jndi:ldap://x}"]', [{"$ref": "#"}, "{{7*7}}", "${jndi:ldap://x}"]),
    ],
)
def test_what_json_leaves_open_is_read_in_one_way_and_means_nothing_more(echo, body, read):
    """RFC 8259 sections 4 and 6 leave names that are there twice, and long integers, to the reader."""
    assert echo.post(body).json == read


# Tells what its own process has opened since it was loaded, in the words of Python's audit events.
WATCHES = """
import socket, sys

SEEN = []

WATCHED = {
    "ctypes.dlopen", "ftplib.connect", "http.client.connect", "os.exec", "os.system",
    "pickle.find_class", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto",
    "subprocess.Popen", "urllib.Request",
}

def hook(event, arguments):
    if event in WATCHED:
        SEEN.append(event)
    elif event == "open" and str(arguments[0]).startswith(("/etc", "http", "file", "s3", "gs", "//")):
        SEEN.append(f"open {arguments[0]}")

class Handler:
    def load(self, model_dir): sys.addaudithook(hook)
    def predict(self, inputs):
        for one in inputs:
            if one == "begin":
                SEEN.clear()  # of what the start needs
            if one == "control":
                try: socket.create_connection(("127.0.0.1", 1), timeout=1)
                except OSError: pass
        seen = list(SEEN)
        return [seen] * len(inputs)
"""
ADDRESSES = [
    "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
    "http://metadata.google.internal/computeMetadata/v1/",
    "https://evil.example/x.npy",
    "file:///etc/passwd",
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "s3://bucket/key",
    "gs://bucket/key",
    "//evil.example/x",
]
KEYS = ["url", "uri", "image_url", "href", "src", "s3", "gcs", "path", "file", "$ref", "b64", "model_url"]


def test_an_address_in_a_body_is_never_fetched(serve):
    served = serve(WATCHES, SLIPWAY_WORKERS="1").wait_ready()
    assert served.post(b'["begin"]').json == [[]]
    with socket.create_server(("127.0.0.1", 0)) as bait:
        bait.settimeout(0.2)
        here = f"http://127.0.0.1:{bait.getsockname()[1]}/"
        for address in (here, *ADDRESSES):
            bodies = [dict.fromkeys(KEYS, address), *({key: address} for key in KEYS), address]
            assert served.post(json.dumps(bodies).encode()).json[-1] == []
            assert served.post(json.dumps({"instances": bodies}).encode()).json["predictions"][-1] == []
            assert served.post(
                f"url\n{address}\n".encode(), "text/csv; header=present", Accept=JSON
            ).json == [[]]
            assert served.post(address.encode(), NPY).status == 400
            assert served.post(address.encode(), "application/vnd.apache.parquet").status == 400
            assert served.post(
                b"[1]", Content_Location=address, Referer=address, Link=f"<{address}>"
            ).json == [[]]
        with pytest.raises(TimeoutError):
            bait.accept()
    assert served.post(b'["control"]').json[0][-1] == "socket.connect", "the watch sees a connection"


def test_the_server_listens_on_its_one_port_of_this_machine_alone(serve):
    served = serve(SLIPWAY_WORKERS="2").wait_ready()
    served.post(b"[1]")
    assert listening(served.process.pid) == {("127.0.0.1", served.port)}


def test_it_listens_elsewhere_only_where_it_is_told_to(serve):
    served = serve(SLIPWAY_HOST="0.0.0.0").wait_ready()
    assert listening(served.process.pid) == {("0.0.0.0", served.port)}
