"""schemathesis against the real server: requests made from its own OpenAPI document, good and bad ones.

Row 16 of the faults: a malformed body is 4xx and never 5xx, whatever it is.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest

from inference.serving.codecs import media
from inference.serving.online import openapi

HOOKS = Path(__file__).with_name("openapi_bodies.py")
COMMAND = "from schemathesis.cli import schemathesis; schemathesis()"
ECHO = """
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs): return inputs
"""
# The mistake that schemathesis found in the toy that it was tried on.
DIVIDES = """
class Handler:
    def load(self, model_dir): pass
    def predict(self, inputs): return [1 / len(inputs[0]) if isinstance(inputs[0], list) else 0] * len(inputs)
"""


@dataclass(frozen=True)
class Run:
    """What schemathesis said, and the statuses and content types of what it sent."""

    returncode: int
    said: str
    statuses: Counter[int]
    kinds: set[str]


@pytest.fixture
def generate(tmp_path):
    def run(served, *options: str, document: str = "") -> Run:
        sent = tmp_path / "sent.ndjson"
        address = f"http://127.0.0.1:{served.port}"
        said = subprocess.run(
            [
                *(sys.executable, "-c", COMMAND, "run", document or address + openapi.PATH),
                *("--url", address, "--checks", "all", "--seed", "1", "--no-color", "--warnings", "off"),
                *("--report-ndjson-path", str(sent), *options),
            ],
            env={
                **os.environ,
                "SCHEMATHESIS_HOOKS": str(HOOKS),
                "HYPOTHESIS_STORAGE_DIRECTORY": str(tmp_path),
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=100,
        )
        text = sent.read_text()
        statuses = Counter(map(int, re.findall(r'"status_code": ?(\d+)', text)))
        kinds = set(re.findall(r'"media_type": ?"([^"]+)"', text))
        return Run(said.returncode, said.stdout + said.stderr, statuses, kinds)

    return run


def test_no_generated_request_is_answered_5xx_or_otherwise_than_documented(serve, generate):
    served = serve(ECHO, SLIPWAY_WORKERS="1").wait_ready()
    run = generate(served, "--max-examples", "120")
    assert run.returncode == 0, run.said
    assert run.kinds == set(media.READ), "a form that was never sent shows nothing"
    assert {200, 400, 405} <= set(run.statuses) <= {200, 400, 405, 406, 415}
    assert min(run.statuses[200], run.statuses[400]) >= 20
    assert "error" not in served.log


def test_a_handler_that_divides_by_zero_is_found(serve, generate):
    served = serve(DIVIDES, SLIPWAY_WORKERS="1").wait_ready()
    run = generate(served, "--max-examples", "60", "--max-failures", "1", "--include-path", "/invocations")
    assert run.returncode == 1
    assert "Server error" in run.said and "ZeroDivisionError" in run.said


def test_an_answer_that_the_document_does_not_hold_is_found(serve, generate, tmp_path):
    served = serve(ECHO, SLIPWAY_WORKERS="1").wait_ready()
    document = served.call("GET", openapi.PATH).json
    responses = document["paths"]["/invocations"]["post"]["responses"]
    del responses["400"]
    del responses["200"]["content"][media.JSON]
    responses["200"]["headers"] = {"X-Never-Sent": {"required": True, "schema": {}}}
    (tmp_path / "spoiled.json").write_text(json.dumps(document))
    phases = ("--phases", "coverage", "--continue-on-failure", "--include-path", "/invocations")
    run = generate(served, *phases, document=str(tmp_path / "spoiled.json"))
    assert run.returncode == 1
    for found in ("status code", "Content-Type", "Missing required response headers"):
        assert found in run.said
