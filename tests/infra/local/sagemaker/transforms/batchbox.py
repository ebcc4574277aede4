"""A container for transform jobs: what it does is said by its environment and by words in a request's body.

Each request is told of in its output, as JSON, once it is answered.
"""

import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HOME = Path(os.environ["HOME"])
TURN = threading.Lock()
SEEN = {"flaky": 0, "now": 0}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer
    rbufsize = 1024 * 1024
    disable_nagle_algorithm = True

    def do_GET(self):
        said = os.environ.get("EXECUTION_PARAMETERS")
        if self.path == "/ping":
            self.answer(200, b"")
        elif self.path == "/execution-parameters" and said:
            self.answer(200, said.encode())
        else:
            self.answer(404, b"")

    def do_POST(self):
        if os.environ.get("REFUSES_UNREAD"):
            self.answer(413, b"too large")
            self.wfile.flush()
            time.sleep(0.2)
            self.close_connection = True
            return
        with TURN:
            SEEN["now"] += 1
            beside = SEEN["now"]
        began = time.time()
        body, is_chunked = self.body()
        status, answer = self.respond(body)
        with TURN:
            SEEN["now"] -= 1
        if os.environ.get("QUIET") != "1":
            told = {
                "size": len(body),
                "lines": body.count(b"\n"),
                "body": body[:200].decode("latin-1"),
                "headers": dict(self.headers),
                "chunked": is_chunked,
                "status": status,
                "beside": beside,
                "began": began,
                "pid": os.getpid(),
            }
            with TURN:
                print("request " + json.dumps(told), flush=True)
        self.answer(status, answer)

    def body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"])), False
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks), True

    def respond(self, body):
        time.sleep(float(os.environ.get("SLEEP_S", "0")))
        if b"SLOW" in body:
            time.sleep(0.4)
        if b"HANG" in body:
            time.sleep(30)
        if b"DIE" in body and not ((HOME / "died").exists() and b"DIE ONCE" in body):
            (HOME / "died").touch()
            os._exit(3)
        if b"FLAKY" in body and (seen := SEEN["flaky"]) < 2:
            SEEN["flaky"] = seen + 1
            return 500, b"not yet"
        if b"FAIL500" in body:
            return 500, b"Traceback"
        if b"FAIL400" in body:
            return 400, b'{"error": "row 1: no number"}'
        return 200, self.scored(body)

    def scored(self, body):
        if os.environ.get("ANSWER") == "small":
            return b"ok\n"
        if os.environ.get("ANSWER") == "environment":
            return json.dumps(dict(os.environ)).encode()
        if os.environ.get("ANSWER") == "sizes":  # of each record, on a line of its own; none for one to DROP
            lines = [line for line in body.splitlines() if line.strip()]
            return b"".join(b"%d\n" % len(line) for line in lines if b"DROP" not in line)
        if os.environ.get("ANSWER") == "fixed":
            return os.environ["FIXED"].encode()
        return body

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def again_and_again():
    """Whether it is to end at every start after the first death."""
    return os.environ.get("STAYS_DEAD") and (HOME / "died").exists()


if os.environ.get("FAILS") or again_and_again():
    raise SystemExit("no such weights")
time.sleep(float(os.environ.get("START_S", "0")))
if os.environ.get("DEAF"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
else:
    signal.signal(signal.SIGTERM, lambda number, frame: (print("asked to stop", flush=True), os._exit(0)))
print("batchbox listens", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
