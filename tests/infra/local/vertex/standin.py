"""A serving container in fifty lines: what it does is said by its environment and by each instance."""

import json
import os
import select
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOME = Path(os.environ["HOME"])


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer

    def do_GET(self):
        sick = self.path != os.environ["AIP_HEALTH_ROUTE"] or (HOME / "sick").exists()
        self.answer(500 if sick else int(os.environ.get("HEALTH_STATUS", "200")), b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        kind = self.headers.get("Content-Type", "")
        if self.path != os.environ["AIP_PREDICT_ROUTE"]:
            self.answer(404, self.path.encode())
        elif kind == "application/x-stream":
            self.stream(json.loads(body))
        elif kind != "application/json":
            self.answer(int(self.headers.get("X-Status", "201")), body[::-1], "text/reversed")
        else:
            self.predict(json.loads(body))

    def predict(self, request):
        orders = {}
        for one in request["instances"]:
            orders.update(one if isinstance(one, dict) else {})
        time.sleep(orders.get("sleep", 0))
        burnt = time.thread_time() + orders.get("burn", 0)
        while time.thread_time() < burnt:
            pass
        if orders.get("sick"):
            (HOME / "sick").touch()
        if orders.get("die"):
            os._exit(1)
        seen = {
            "pid": os.getpid(),
            "argv": sys.argv,
            "environment": dict(os.environ),
            "parameters": request.get("parameters"),
            "executable": sys.executable,
        }
        predictions = [seen if one == {"tell": True} else one for one in request["instances"]]
        if os.environ.get("COUNTS"):
            number = time.monotonic_ns()
            predictions = [{"request": number, "of": len(predictions)} for _ in predictions]
        text = orders.get("text", json.dumps({"predictions": predictions}))
        self.answer(int(orders.get("status", 200)), text.encode())

    def stream(self, orders):
        self.send_response(200)
        self.send_header("Content-Type", self.headers.get("Accept", "none"))
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for number in range(orders["parts"]):
            self.wait_at_gate(Path(orders["gates"]), number)
            self.wfile.write(b"7\r\npart %d\n\r\n" % number)
            self.wfile.flush()
        if orders.get("break"):
            self.wait_at_gate(Path(orders["gates"]), orders["parts"])
            os._exit(1)
        self.wfile.write(b"0\r\n\r\n")

    def wait_at_gate(self, gates, number):
        """Makes no part before the file of its number is in the folder of gates; the first needs none."""
        while number and not (gates / str(number)).exists():
            if select.select([self.connection], [], [], 0.01)[0] and not self.connection.recv(1):
                (gates / "left").touch()
                sys.exit()

    def answer(self, status, body, kind="application/json"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


if os.environ.get("FAILS") or Path(os.environ.get("FAILS_WHERE", "/nowhere")).exists():
    print("Traceback (most recent call last):\n\nValueError: no such weights", file=sys.stderr)
    sys.exit(1)
time.sleep(float(os.environ.get("START_S", "0")))
signal.signal(signal.SIGTERM, lambda number, frame: os._exit(0))
print(f"version {os.environ.get('VERSION')} listens", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["AIP_HTTP_PORT"])), Handler).serve_forever()
