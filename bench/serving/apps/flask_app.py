"""Flask and gunicorn, by hand: threads in each worker."""

from __future__ import annotations

from flask import Flask, Response, request

from bench.serving.apps import handling

predict = handling.loaded()
app = Flask(__name__)


@app.get("/ping")
def ping() -> str:
    return ""


@app.post("/invocations")
def invocations() -> Response:
    predictions = predict(handling.decode(request.get_data()))
    return Response(handling.encode(predictions), mimetype=handling.JSON)
