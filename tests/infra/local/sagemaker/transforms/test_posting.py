"""One request and its answer, against a container of raw bytes."""

import errno
import io
import socket
import threading
import time
from types import SimpleNamespace

import pytest

from infra.local.sagemaker.transforms.failures import FileFailed
from infra.local.sagemaker.transforms.posting import CHUNK, Client, Poster

PING = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Box:
    """Answers pings, and the requests with the given bytes in turn; then it closes the connection."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.bodies = []
        self.closed = threading.Event()
        self.posters = []
        self.socket = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()
        spec = SimpleNamespace(startup_s=5.0)
        self.container = SimpleNamespace(port=self.socket.getsockname()[1], spec=spec, failed_restarts=0)

    def poster(self, retries=0):
        self.posters.append(Poster(self.container, Client({}, 5, retries), threading.Event()))
        return self.posters[-1]

    def close(self):
        for poster in self.posters:
            poster.close()
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()

    def _serve(self):
        while True:
            try:
                connection = self.socket.accept()[0]
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, connection.makefile("rb") as stream:
            head = b""
            while (line := stream.readline()).strip():
                head += line
            if head.startswith(b"GET"):
                connection.sendall(PING)
                return
            try:
                self.bodies.append(_body(head, stream))
                connection.sendall(self.answers.pop(0))
            except OSError:  # the poster gave up
                return
        self.closed.set()


def _body(head, stream):
    if b"chunked" not in head:
        return stream.read(int(head.lower().partition(b"content-length:")[2].split()[0]))
    chunks = []
    while size := int(stream.readline().strip() or b"0", 16):
        chunks.append(stream.read(size))
        stream.readline()
    stream.readline()  # what is unread when a socket is closed resets the connection
    return b"".join(chunks)


@pytest.fixture
def box():
    """Makes boxes, and closes them."""
    boxes = []

    def make(*answers):
        boxes.append(Box(*answers))
        return boxes[-1]

    yield make
    for one in boxes:
        one.close()


SHORT = (
    b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf",
    b"",
)


@pytest.mark.parametrize("short", SHORT)
def test_an_answer_that_breaks_off_is_none_and_the_request_is_sent_again(box, short):
    with pytest.raises(FileFailed, match="Unable to get response from algorithm"):
        box(short).poster().post(b"1\n")
    assert box(short, GOOD).poster(retries=1).post(b"1\n") == b"ok"
    output = io.BytesIO()
    box(short, GOOD).poster(retries=1).stream(lambda: io.BytesIO(b"1\n"), output)
    assert output.getvalue() == b"ok"


def test_a_connection_that_the_container_closed_meanwhile_costs_no_attempt(box):
    answering = box(GOOD, GOOD)
    poster = answering.poster()
    assert poster.post(b"1") == b"ok"
    assert answering.closed.wait(5)
    time.sleep(0.05)
    assert poster.post(b"2") == b"ok"
    assert answering.bodies == [b"1", b"2"]


class Damaged(io.BytesIO):
    """Reads well at first, as a damaged gzip file does."""

    def read(self, size=-1):
        if self.tell() >= CHUNK:
            raise self.error
        return super().read(size)


@pytest.mark.parametrize("error", [EOFError("cut off"), OSError("CRC check failed")])
def test_an_object_that_cannot_be_read_is_not_sent_again_and_harms_no_other(box, error):
    def damaged():
        stream = Damaged(b"x" * 2 * CHUNK)
        stream.error = error
        opened.append(stream)
        return stream

    opened = []
    answering = box(GOOD, GOOD)
    poster = answering.poster(retries=3)
    with pytest.raises(type(error), match=str(error)):
        poster.stream(damaged, io.BytesIO())
    assert len(opened) == 1
    assert poster.post(b"1") == b"ok"


class Full(io.BytesIO):
    def write(self, data):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_not_the_container_s_fault(box):
    with pytest.raises(OSError, match="No space left on device"):
        box(GOOD).poster(retries=3).stream(lambda: io.BytesIO(b"1"), Full())
