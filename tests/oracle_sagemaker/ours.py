"""Answers the same jobs as aws.py, in the same way, with the kit's handlers and in the kit's environment."""

import base64
import contextlib
import json
import multiprocessing
import os
import sys
from pathlib import Path

from inference.serving.errors import StartError
from inference.serving.handlers import Call, sagemaker, shapes
from inference.serving.processes import isolation


def answered(handler, given):
    headers = {name.lower(): value for name, value in given["headers"].items()}
    body = base64.b64decode(given["body"])
    answer = handler.answer(Call(body, given["content_type"], given["accept"], headers))
    return {
        "status": answer.status,
        "body": base64.b64encode(answer.body).decode(),
        "content_type": answer.content_type,
        "headers": dict(answer.headers),
    }


def run(job):
    os.environ.update(job["env"])
    isolation.leave_to_handler()
    model_dir = Path(job["model_dir"])
    reading = shapes.entry(model_dir, os.environ)
    try:
        handler = sagemaker.load(model_dir, model_dir / "code" / reading.file)
    except StartError as error:  # which no other process could unpickle
        raise RuntimeError(str(error)) from None
    return [answered(handler, given) for given in job["requests"]]


if __name__ == "__main__":
    with (
        contextlib.redirect_stdout(sys.stderr),
        multiprocessing.get_context("fork").Pool(1, maxtasksperchild=1) as pool,
    ):
        answers = pool.map(run, json.load(sys.stdin), chunksize=1)
    json.dump(answers, sys.stdout)
