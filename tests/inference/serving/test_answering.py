"""A worker's answer to a message: as at an endpoint for a sample, as its job's settings say for the rest."""

from __future__ import annotations

import pickle

import pytest

from inference.serving import answering
from inference.serving.exchange import Request
from inference.serving.inputs import to_list
from inference.serving.media import CSV, JSON, JSON_LINES, Accepted, ContentType
from inference.serving.predictor import Predictor

KEEP = (True, "", False, "", "")
ENVELOPED = (True, "", False, JSON_LINES, CSV)


def doubled(inputs):
    return [2 * one for one in inputs if one != "drop"]


PREDICTOR = Predictor(to_list, None, doubled, None)


def answered(settings, body, kind=JSON_LINES, sample=False):
    """The status and body of an answer that has been on its way, and back, between two processes."""
    message = answering.message(Request(body, ContentType(kind), Accepted(kind, kind)), sample=sample)
    answer = answering.make(settings)(PREDICTOR, pickle.loads(pickle.dumps(message)))
    status, _, content, _, phases = pickle.loads(pickle.dumps(answer))
    assert all(seconds >= 0 for seconds in phases.values())
    return status, content


def test_a_request_is_answered_as_the_jobs_policy_says():
    status, body = answered(KEEP, b'1\n"drop"\n')
    assert (status, body.split(b"\n")[0], b"slipway_error" in body) == (200, b"2", True)
    assert answered((False, *KEEP[1:]), b'1\n"drop"\n')[0] == 500


@pytest.mark.parametrize("settings", [KEEP, ENVELOPED])
def test_a_sample_is_answered_as_at_an_endpoint_whatever_the_job_treats_its_records_like(settings):
    assert answered(settings, b"1\n", sample=True) == (200, b"2\n")
    assert answered(settings, b'"drop"\n', sample=True)[0] == 500


def test_with_records_a_request_is_an_envelope_of_them():
    body = b'{"instances": [{"record": "[1]"}, {"record": "2"}]}'
    assert answered(ENVELOPED, body, JSON) == (200, b'{"predictions":["1,1","4"]}')
    assert answered(KEEP, b'{"instances": [1]}', JSON) == (200, b'{"predictions":[2]}')
