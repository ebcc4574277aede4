"""A worker's answer to a message: to a request as its job's settings say, to a folder whether its samples are
answered."""

from __future__ import annotations

import pickle

import pytest

from inference.serving.codecs.inputs import to_list
from inference.serving.codecs.media import CSV, JSON, JSON_LINES
from inference.serving.handlers import Answer, Call, Intake, one_by_one
from inference.serving.jobs import answering
from inference.serving.predictor import Predictor

KEEP = (True, "", False, "", "")
ENVELOPED = (True, "", False, JSON_LINES, CSV)


def doubled(inputs):
    return [2 * one for one in inputs if one != "drop"]


PREDICTOR = Predictor(to_list, None, doubled, None)


def answered(settings, body, kind=JSON_LINES, accept="", handler=PREDICTOR):
    """The status and body of an answer that has been on its way, and back, between two processes."""
    message = pickle.loads(pickle.dumps(answering.message(Call(body, kind, accept))))
    status, _, content, _, phases = pickle.loads(pickle.dumps(answering.make(settings)(handler, message)))
    assert all(seconds >= 0 for seconds in phases.values())
    return status, content


def test_a_request_is_answered_as_the_jobs_policy_says():
    status, body = answered(KEEP, b'1\n"drop"\n')
    assert (status, body.split(b"\n")[0], b"slipway_error" in body) == (200, b"2", True)
    assert answered((False, *KEEP[1:]), b'1\n"drop"\n')[0] == 500


def test_a_request_in_a_form_that_is_not_read_is_refused():
    assert answered(KEEP, b"1", "image/png")[0] == 415
    assert answered(KEEP, b"1", JSON_LINES, "image/png")[0] == 406


@pytest.mark.parametrize("settings", [KEEP, ENVELOPED])
@pytest.mark.parametrize(("samples", "status"), [("1\n2\n", 200), ('1\n"drop"\n', 500)])
def test_samples_are_answered_as_at_an_endpoint_whatever_the_job_treats_its_records_like(
    settings, samples, status, tmp_path
):
    (tmp_path / "code").mkdir()
    (tmp_path / "code/samples.jsonl").write_text(samples)
    found, _, said, *_ = answering.make(settings)(PREDICTOR, str(tmp_path))
    assert found == status
    assert said.startswith(b"code/samples.jsonl" if status == 200 else b"code/samples.jsonl line 2: ")


def test_with_records_a_request_is_an_envelope_of_them():
    body = b'{"instances": [{"record": "[1]"}, {"record": "2"}]}'
    assert answered(ENVELOPED, body, JSON) == (200, b'{"predictions":["1,1","4"]}')
    assert answered(KEEP, b'{"instances": [1]}', JSON) == (200, b'{"predictions":[2]}')


class Old:
    """Answers with what it was asked."""

    shape, intake = "Old", Intake("inputs")

    def answer(self, call):
        return Answer(202 if call.content_type == "image/png" else 200, call.body, "text/x-own", {"a": "b"})

    def answer_all(self, calls):
        return one_by_one(self, calls)


def test_a_handler_of_another_server_gets_records_where_the_form_is_that_of_a_job_of_ours():
    assert answered(KEEP, b"1\n2\n", handler=Old()) == (200, b'{"inputs":1}\n{"inputs":2}\n')
    body = b'{"instances": [{"record": "[1]"}, {"record": "2"}]}'
    envelope = (True, "", False, JSON_LINES, JSON_LINES)
    assert answered(envelope, body, JSON, handler=Old()) == (
        200,
        rb'{"predictions":["{\"inputs\":[1]}","{\"inputs\":2}"]}',
    )


@pytest.mark.parametrize(
    ("kind", "accept", "status"),
    [("image/png", "", 202), (JSON, "", 200), (JSON, CSV, 200), (JSON_LINES, JSON, 200)],
)
def test_any_other_request_it_gets_as_it_came_and_its_answer_stays_its_own(kind, accept, status):
    assert answered(KEEP, b"{no\n", kind, accept, Old()) == (status, b"{no\n")
