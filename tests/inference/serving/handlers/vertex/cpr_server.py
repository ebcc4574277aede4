"""Google's CprModelServer without a socket: requests on standard input, its answers on standard output.

Run by the Python that has google-cloud-aiplatform[prediction], with the environment that CPR's container has
(HANDLER_MODULE, …). One JSON object a line, either way.
"""

import asyncio
import base64
import contextlib
import json
import os
import sys


async def answered(app, call):
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in call["headers"]]
    body = base64.b64decode(call["body"])
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": os.environ["AIP_PREDICT_ROUTE"],
        "raw_path": os.environ["AIP_PREDICT_ROUTE"].encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [*headers, (b"content-length", str(len(body)).encode())],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8080),
    }
    messages = []
    left = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive():
        if not left:
            await asyncio.Event().wait()
        return left.pop()

    async def send(message):
        messages.append(message)

    # What is raised after the server has sent its error page is for its log.
    with contextlib.suppress(Exception):
        await app(scope, receive, send)
    start = next(message for message in messages if message["type"] == "http.response.start")
    content = b"".join(message.get("body", b"") for message in messages if "body" in message)
    return {
        "status": start["status"],
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in start["headers"]],
        "body": base64.b64encode(content).decode(),
    }


async def serve(answers):
    from google.cloud.aiplatform.prediction.model_server import CprModelServer

    server = CprModelServer()
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(await answered(server, json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what the server logs is no answer
    asyncio.run(serve(out))
