"""Our answers against those of AWS's own toolkit and model server, byte for byte, over generated requests."""

import base64
import io
import json
import os
import random
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from environments import SAGEMAKER_SERVER

pytestmark = pytest.mark.timeout(1800)  # the environment's own building included
ROOT = Path(__file__).parents[4]
ORACLE = ROOT / "tests" / "oracle_sagemaker"
HANDLERS = sorted(path.name for path in (ORACLE / "handlers").iterdir())
REQUESTS = 120
ENV = {
    "another_name": {"SAGEMAKER_PROGRAM": "serve_model.py"},
    "default_accept": {"SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "text/csv"},
}
JSON, CSV, NPY, NPZ = "application/json", "text/csv", "application/x-npy", "application/x-npz"
CONTENT_TYPES = [
    *[JSON, CSV, NPY, NPZ] * 4,
    "application/octet-stream",
    "text/plain",
    "image/png",
    "",
    "application/json; charset=utf-8",
    "Application/JSON",
    "application/jsonlines",
]
ACCEPTS = [
    *["", "*/*", JSON, CSV, NPY] * 2,
    "text/csv, application/json",
    "image/png, application/x-npy",
    "application/json;q=0.9",
    "text/csv;q=0.5,application/x-npz",
    "application/x-npz",
    "text/html",
    "application/ json",
]
TEXTS = [
    "",
    "[]",
    "{}",
    "null",
    "1",
    '"text"',
    "[1, 2",
    "nan",
    "[[1], [2, 3]]",
    '{"a": [1]}',
    "é,ü",
    '"ключ"',
]


def _json(chance):
    depth = chance.randrange(1, 4)
    value = chance.choice([1, -2.5, 1e300, True, None, "text", "é"])
    for _ in range(depth):
        value = [value] * chance.randrange(0, 4)
    return json.dumps(chance.choice([value, [1, 2, 3], [[1.5, 2], [3, 4]], {"instances": value}])).encode()


def _csv(chance):
    cells = ["1", "2.5", "-3e4", "", "text", '"quoted, cell"', "nan", "é"]
    if chance.random() < 0.6:
        cells = cells[:3]
    width = chance.randrange(1, 5)
    rows = [",".join(chance.choice(cells) for _ in range(width)) for _ in range(chance.randrange(1, 5))]
    return ("\n".join(rows) + chance.choice(["", "\n", ",1"])).encode()


def _array(chance):
    dtype = chance.choice(["<f8", "<f4", ">f8", "<i8", "|u1", "|b1", "<U5", "<c16", "<M8[D]", "|S3", "<f2"])
    shape = chance.choice([(), (0,), (3,), (2, 3), (2, 1, 2)])
    array = np.ones(shape).astype(dtype)
    return np.asfortranarray(array) if chance.random() < 0.3 else array


def _npy(chance):
    file = io.BytesIO()
    if chance.random() < 0.2:
        np.savez(file, a=_array(chance), b=np.arange(3))
    else:
        np.save(file, _array(chance))
    whole = file.getvalue()
    return whole if chance.random() < 0.7 else whole[: chance.randrange(8, len(whole))]


def _npz(chance):
    file = io.BytesIO()
    parts = {
        "format": np.array(chance.choice(["csr", "csc", "coo?"]).encode()),
        "shape": np.array([2, 3]),
        "data": np.array([1.0, 2.0]),
        "indices": np.array([0, 1], dtype=np.int32),
        "indptr": np.array([0, 1, 2] if chance.random() < 0.6 else [0, 1, 1, 2], dtype=np.int32),
    }
    if chance.random() < 0.2:
        del parts[chance.choice(sorted(parts))]
    np.savez_compressed(file, **parts)
    return file.getvalue()


BODIES = {JSON: _json, CSV: _csv, NPY: _npy, NPZ: _npz}


def _body(chance, content_type):
    if chance.random() < 0.2:
        return chance.choice([text.encode() for text in TEXTS] + [b"\xff\xfe", b"\x00\x01", b"PK\x03\x04"])
    if chance.random() < 0.15:
        content_type = chance.choice(list(BODIES))
    return BODIES.get(content_type.partition(";")[0].lower(), _json)(chance)


def _is_pickle_to_numpy(content_type, body):
    """What numpy.load(allow_pickle=True) would unpickle: the one exception, which has its own tests."""
    return content_type == NPY and bool(body) and body[:6] != b"\x93NUMPY" and body[:4] != b"PK\x03\x04"


def _request(chance):
    content_type = chance.choice(CONTENT_TYPES)
    body = _body(chance, content_type)
    while _is_pickle_to_numpy(content_type, body):
        body = _body(chance, content_type)
    headers = chance.choice([{}, {"X-Amzn-SageMaker-Custom-Attributes": "trace=1"}])
    return {
        "body": base64.b64encode(body).decode(),
        "content_type": content_type,
        "accept": chance.choice(ACCEPTS),
        "headers": headers,
    }


def _jobs(model_dir, seed):
    chance = random.Random(seed)
    return {
        "model_dir": str(model_dir),
        "env": ENV.get(model_dir.name, {}),
        "requests": [_request(chance) for _ in range(REQUESTS)],
    }


def _answers(python, script, jobs):
    clean = {name: text for name, text in os.environ.items() if not name.startswith(("SAGEMAKER", "AWS_"))}
    env = {**clean, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, ORACLE / script],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
        timeout=100,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout)


FRAME = re.compile(rb'(?m)^([ |]+)File "([^"]+)", line \d+, in .+\n(?:\1  .*\n)*')
AWS = re.compile(rb"/(sagemaker_inference|mms)/")


def _comparable(answer):
    """The answer with AWS's own frames out of a traceback in it, and neither a path of an
    environment nor an address in memory."""
    body = base64.b64decode(answer["body"])
    body = FRAME.sub(lambda frame: b"" if AWS.search(frame[2]) else frame[0], body)
    body = re.sub(rb'"[^"]*/site-packages/', b'"', body)
    return {**answer, "body": re.sub(rb" at 0x[0-9a-f]+>", b">", body)}


@pytest.fixture(scope="module")
def both(python_of):
    """The jobs, and the answers of AWS's packages and ours to each."""
    jobs = {name: _jobs(ORACLE / "handlers" / name, seed) for seed, name in enumerate(HANDLERS)}
    theirs = _answers(python_of(SAGEMAKER_SERVER), "aws.py", list(jobs.values()))
    ours = _answers(sys.executable, "ours.py", list(jobs.values()))
    return {name: (jobs[name], *pair) for name, *pair in zip(jobs, theirs, ours, strict=True)}


@pytest.mark.parametrize("name", HANDLERS)
def test_a_handler_answers_as_in_awss_own_server(both, name):
    job, theirs, ours = both[name]
    for number, (request, expected, found) in enumerate(zip(job["requests"], theirs, ours, strict=True)):
        shown = {**request, "body": base64.b64decode(request["body"])}
        assert _comparable(found) == _comparable(expected), f"request {number}: {shown}"


def test_the_generated_requests_reach_every_kind_of_answer(both):
    statuses = {answer["status"] for _, theirs, _ in both.values() for answer in theirs}
    assert {200, 201, 204, 400, 413, 422, 500, 503} <= statuses
    default = [answer for name in ("predict_alone", "defaults_out") for answer in both[name][1]]
    assert {JSON, CSV, NPY} <= {answer["content_type"] for answer in default if answer["status"] == 200}
    messages = b"".join(base64.b64decode(answer["body"]) for answer in default if answer["status"] == 500)
    assert b"is not supported by this framework" in messages
    assert zipfile.is_zipfile(io.BytesIO(_npz(random.Random(1))))
