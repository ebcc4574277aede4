"""Answers requests with AWS's own packages, in their environment: the toolkit's Transformer in a worker of
the model server, as in AWS's images.

Jobs come as JSON on stdin: a list of {"model_dir", "env", "requests": [{"body" in base64, "content_type",
"accept", "headers"}]}. Their answers go to stdout, one list a job. What the server's Java front says where
its worker gives up was measured once on multi-model-server 1.1.11 and stands here as it was.
"""

import base64
import contextlib
import json
import multiprocessing
import os
import struct
import sys

from mms.service import Service
from sagemaker_inference.default_handler_service import DefaultHandlerService
from sagemaker_inference.transformer import Transformer

assert Transformer  # imported once, before the jobs' processes are forked


def refused(status, message):
    error = {"code": status, "type": "InternalServerException", "message": message}
    return {
        "status": status,
        "body": base64.b64encode(f"{json.dumps(error, indent=2)}\n".encode()).decode(),
        "content_type": "application/json",
        "headers": {},
    }


class Message:
    """The bytes that a worker sends to the Java front, read from the left."""

    def __init__(self, data):
        self.data = bytes(data)

    def number(self):
        (value,), self.data = struct.unpack("!i", self.data[:4]), self.data[4:]
        return value

    def text(self):
        length = self.number()
        value, self.data = self.data[:length], self.data[length:]
        return value


def told(message):
    code, text = message.number(), message.text().decode()
    if code != 200:
        return refused(code, text)
    message.text()  # the request's id
    content_type, status, _phrase = message.text().decode(), message.number(), message.text()
    pairs = [(message.text().decode(), message.text().decode()) for _ in range(message.number())]
    # The front sets the content type, then every header: the last spelling wins.
    for name, value in sorted(pairs, key=lambda pair: pair[0] != "content-type"):
        content_type = value if name.lower() == "content-type" else content_type
    body = message.text()
    return {
        "status": status,
        "body": "" if status == 204 else base64.b64encode(body).decode(),
        "content_type": content_type,
        "headers": {name: value for name, value in pairs if name.lower() != "content-type"},
    }


def request_of(given):
    headers = {**given["headers"], "Content-Type": given["content_type"], "Accept": given["accept"]}
    return {
        "requestId": b"1",
        "headers": [
            {"name": name.encode(), "value": value.encode()} for name, value in headers.items() if value
        ],
        "parameters": [
            {"name": "body", "contentType": "", "value": bytearray(base64.b64decode(given["body"]))}
        ],
    }


def answered(service, given):
    try:
        return told(Message(service.predict([request_of(given)])))
    except BaseException:  # the worker's process ends, and a new one starts
        return refused(500, "Worker died.")


def run(job):
    os.environ.update(job["env"])
    sys.path.insert(0, f"{job['model_dir']}/code")
    toolkit = DefaultHandlerService()
    service = Service("model", job["model_dir"], {}, toolkit.handle, None, 1)
    toolkit.initialize(service.context)
    return [answered(service, given) for given in job["requests"]]


if __name__ == "__main__":
    with (
        contextlib.redirect_stdout(sys.stderr),
        multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool,
    ):
        answers = pool.map(run, json.load(sys.stdin), chunksize=1)
    json.dump(answers, sys.stdout)
