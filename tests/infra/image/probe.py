"""Asks a server of this machine, or of the container that it runs in: `python - PORT < probe.py`.

Its standard library alone is needed, so the same lines ask both. Prints what each request was answered.
"""

import http.client
import json
import sys

REQUESTS = [
    ("GET", "/ping", "", b""),
    ("POST", "/invocations", "application/json", b"[1, 2.5, 40000000000]"),
    ("POST", "/invocations", "application/json", b'{"instances": [1, 2]}'),
    ("POST", "/invocations", "application/jsonlines", b"1\n2.5\n"),
    ("POST", "/invocations", "text/csv", b"1\n2.5\n"),
    ("POST", "/invocations", "application/json", b"[1,"),
    ("POST", "/invocations", "application/x-pickle", b"cos\nsystem\n(S'true'\ntR."),
    ("POST", "/invocations", "application/json", '["\u00e9\u4e2d"]'.encode()),
    ("GET", "/elsewhere", "", b""),
]


def answered(port, method, path, content_type, body):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": content_type} if content_type else {})
        response = connection.getresponse()
        return [response.status, response.getheader("Content-Type"), response.read().decode()]
    finally:
        connection.close()


if __name__ == "__main__":
    print(json.dumps([answered(int(sys.argv[1]), *request) for request in REQUESTS]))
