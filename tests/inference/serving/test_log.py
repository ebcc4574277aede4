"""The log: one line an event, and the user's own frames alone."""

from __future__ import annotations

import io
import sys

import pytest

from inference.serving import log
from inference.serving.errors import HandlerFailed
from inference.serving.predictor import Predictor


def test_an_event_is_one_line_whatever_it_holds(capsys):
    log.event("a\r\nslipway: forged \x1b[31m\u202e")
    assert capsys.readouterr().err == "slipway: a\\r\\nslipway: forged \\x1b[31m\\u202e\n"


def test_a_traceback_begins_with_the_users_frame_and_its_text_cannot_pass_for_an_event(capsys):
    def step(_):
        raise RuntimeError("first\nslipway: forged")

    with pytest.raises(HandlerFailed) as caught:
        Predictor(lambda x: x, None, step, None).predictions([1], {})
    log.failure("it failed", caught.value.__cause__, indent="  ")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "  Traceback (most recent call last):"
    assert "in step" in lines[1]
    assert lines[-1] == "slipway: error: it failed"
    assert all(line.startswith("  ") for line in lines[:-1])


def test_a_log_that_cannot_be_written_stops_nothing(monkeypatch):
    class Full(io.StringIO):
        def write(self, text):
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(sys, "stderr", Full())
    log.event("x")
