"""A container in thirty lines: what it does is said by its environment and by each request's body."""

import json
import os
import select
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOME = Path(os.environ["HOME"])
MEETING = threading.Barrier(3)  # of requests that are answered only when they are here together


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_GET(self):
        if os.environ.get("PING") == "hangs" or (HOME / "sick").exists():
            time.sleep(2)
        self.answer(int(os.environ.get("PING_STATUS", "200")), b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        orders = json.loads(body) if body.startswith(b"{") else {}
        time.sleep(orders.get("sleep", 0))
        if orders.get("meet"):
            MEETING.wait()
        if orders.get("sick"):
            (HOME / "sick").touch()
        if orders.get("die"):
            os._exit(1)
        if "stream" in orders:
            self.stream(orders)
            return
        seen = {
            "headers": dict(self.headers),
            "size": len(body),
            "pid": os.getpid(),
            "cwd": str(Path.cwd()),
            "environment": dict(os.environ),
            "model": sorted(p.name for p in (Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model").iterdir()),
        }
        text = orders.get("text", json.dumps(seen)).encode() + b"x" * orders.get("fill", 0)
        status = orders.get("status", int(os.environ.get("STATUS", "200")))
        self.answer(status, text, orders.get("headers", {}))

    def answer(self, status, body, headers=None):
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def stream(self, orders):
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(orders["stream"]):
            self.wait_at_gate(orders, number)
            chunk = f"part {number};".encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
            self.wfile.flush()
            time.sleep(0 if "gates" in orders else 0.05)
        if orders.get("break"):
            self.wait_at_gate(orders, orders["stream"])
            os._exit(1)
        self.wfile.write(b"0\r\n\r\n")

    def wait_at_gate(self, orders, number):
        """Makes no part before the file of its number is in the folder of gates; the first needs none."""
        gates = Path(orders.get("gates", ""))
        while number and "gates" in orders and not (gates / str(number)).exists():
            if select.select([self.connection], [], [], 0.01)[0] and not self.connection.recv(1):
                (gates / "left").touch()
                sys.exit()

    def log_message(self, *args):
        pass


if (
    os.environ.get("FAILS")
    or (os.environ.get("FAILS_SECOND_TIME") and (HOME / "ran").exists())
    or Path(os.environ.get("FAILS_WHILE_THERE_IS", "nothing")).exists()
):
    print("Traceback (most recent call last):\n\nValueError: no such weights", file=sys.stderr)
    sys.exit(1)
(HOME / "ran").touch()
time.sleep(float(os.environ.get("START_S", "0")))
signal.signal(signal.SIGTERM, lambda number, frame: (print("asked to stop", flush=True), os._exit(0)))
print(f"version {os.environ.get('VERSION')} listens", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
