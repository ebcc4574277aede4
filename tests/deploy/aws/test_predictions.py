"""A streamed answer whose connection breaks, which botocore leaves to who reads it."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from clouds import aws as clouds_aws

from deploy import aws, config
from deploy.target import CloudError, Request
from infra.local.sagemaker.eventstream import CONTENT_TYPE, payload_part


class BreaksOff(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        frame = payload_part(b"first\n")
        self.send_response(200)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(frame), frame))
        self.close_connection = True

    def log_message(self, *args):
        pass


@pytest.fixture
def breaking(monkeypatch):
    """An address where streams break off after their first piece."""
    with HTTPServer(("127.0.0.1", 0), BreaksOff) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "local")
        clouds_aws.forget()
        yield
        clouds_aws.forget()
        server.shutdown()


def test_a_connection_that_breaks_is_told_after_the_pieces_that_came(breaking, project):
    heard = []
    request = Request(b"1", "application/jsonlines", streams=True)
    with pytest.raises(CloudError, match=r"the answer broke off after 6 bytes \(.+\): `logs` shows what"):
        aws.invoke(config.load(project("iris")), request, heard.append)
    assert heard == [b"first\n"]
