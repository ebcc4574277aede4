"""Requests that share a call are answered as if each had come alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest

from inference.serving import exchange
from inference.serving.codecs import arrays, inputs, media
from inference.serving.exchange import Request
from inference.serving.microbatching.batcher import Job
from inference.serving.microbatching.batching import Batches
from inference.serving.predictor import Predictor


@dataclass
class Seen:
    """A handler that doubles and keeps what each call got."""

    calls: list[Any] = field(default_factory=list)

    def predict(self, given: Any) -> Any:
        self.calls.append(given if isinstance(given, np.ndarray) else list(given))
        if any(isinstance(one, str) and one == "fail" for one in given):
            raise RuntimeError("it broke")
        return [one * 2 for one in given]

    def measured(self, instance: Any) -> float:
        return len(instance)


def job(body: bytes, kind: str = media.JSON, accept: str = "") -> Job:
    content_type = media.content_type(kind)
    request = Request(body, content_type, media.accepted(accept, content_type.format))
    return Job(request, lambda reply: None)


def answered(batches: Batches, jobs: list[Job]) -> list[tuple[int, bytes]]:
    """Status and body of each job, in the jobs' order."""
    replies = {id(one): reply for some in batches.answers(jobs) for one, reply in some}
    return [(replies[id(one)].status, replies[id(one)].body) for one in jobs]


def test_requests_of_every_shape_share_one_call_and_keep_their_shapes():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None), 64)
    jobs = [
        job(b"[1,2]"),
        job(b'{"instances":[3]}'),
        job(b"4\n5\n", media.JSON_LINES),
        job(b"[6]", accept="text/csv"),
    ]
    assert answered(batches, jobs) == [
        (200, b"[2,4]"),
        (200, b'{"predictions":[6]}'),
        (200, b"8\n10\n"),
        (200, b"12\n"),
    ]
    assert seen.calls == [[1, 2, 3, 4, 5, 6]]
    assert {"decode", "predict", "postprocess", "encode"} <= set(jobs[3].phases)


def test_no_call_has_more_instances_than_allowed_but_for_a_request_that_has():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None), 3)
    jobs = [job(b"[1,2]"), job(b"[3,4]"), job(b"[5]"), job(b"[6,7,8,9,10]")]
    assert [status for status, _ in answered(batches, jobs)] == [200] * 4
    assert seen.calls == [[1, 2], [3, 4, 5], [6, 7, 8, 9, 10]]


def test_a_request_that_fails_costs_no_other_request():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None), 64)
    good, bad, other = answered(batches, [job(b"[1]"), job(b'["fail"]'), job(b"[2]")])
    assert (good, other) == ((200, b"[2]"), (200, b"[4]"))
    assert bad[0] == 500 and b"it broke" in bad[1]


def test_a_body_that_cannot_be_read_is_refused_alone():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None), 64)
    assert [status for status, _ in answered(batches, [job(b"[1"), job(b"[2]"), job(b"[3]")])] == [
        400,
        200,
        200,
    ]
    assert seen.calls == [[2, 3]]


def test_predictions_that_one_request_cannot_write_are_refused_alone():
    batches = Batches(Predictor(inputs.to_list, None, lambda given: [[[1]] for _ in given], None), 64)
    jobs = [job(b"[1]", accept="text/csv"), job(b"[2]")]
    assert [status for status, _ in answered(batches, jobs)] == [406, 200]


def test_what_a_handler_changed_before_it_failed_is_read_again():
    def predict(given: list[Any]) -> list[Any]:
        for one in given:
            one["seen"] = one.get("seen", 0) + 1
        if len(given) > 1:
            raise MemoryError
        return given

    batches = Batches(Predictor(inputs.to_list, None, predict, None), 64)
    assert answered(batches, [job(b'[{"a":1}]'), job(b'[{"a":2}]')]) == [
        (200, b'[{"a":1,"seen":1}]'),
        (200, b'[{"a":2,"seen":1}]'),
    ]


@pytest.mark.parametrize(("side", "calls"), [(4, [3]), (300, [3]), (500, [2, 1]), (1000, [1, 1, 1])])
def test_arrays_share_a_call_as_long_as_little_is_copied(side, calls):
    seen = Seen()
    batches = Batches(Predictor(inputs.to_array, None, seen.predict, None), 64)
    body = arrays.encode(np.ones((1, side, side)))
    jobs = [job(body, media.NPY, media.JSON) for _ in range(3)]
    assert [status for status, _ in answered(batches, jobs)] == [200] * 3
    assert [len(given) for given in seen.calls] == calls


def test_an_array_in_a_call_of_its_own_is_the_memory_that_was_received():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_array, None, seen.predict, None), 64)
    bodies = [bytearray(arrays.encode(np.ones((1, 1000, 1000)))) for _ in range(2)]
    answered(batches, [job(body, media.NPY, media.JSON) for body in bodies])
    for given, body in zip(seen.calls, bodies, strict=True):
        assert np.shares_memory(given, np.frombuffer(body, np.uint8))


@pytest.mark.parametrize(
    ("convert", "kind"),
    [
        (inputs.to_list, list),
        (inputs.to_frame, list),
        (inputs.to_array, np.ndarray),
        (inputs.to_tensor, np.ndarray),
    ],
)
@pytest.mark.parametrize("body", [(b"[[1,2.5]]", media.JSON), (b"1,2.5\n", media.CSV)])
def test_numbers_become_a_list_only_where_the_handler_takes_one(convert, kind, body):
    pytest.importorskip("torch")  # a handler that takes tensors has imported it
    predictor = Predictor(convert, None, lambda given: given, None)
    found = exchange.decoded(predictor, job(*body).request).instances
    assert isinstance(found, kind)
    assert np.asarray(found).tolist() == [[1, 2.5]]


def test_the_length_of_an_instance_is_asked_of_what_json_has():
    asked = []
    predictor = Predictor(inputs.to_array, None, lambda given: given, None, length=asked.append)
    answered(Batches(predictor, 64), [job(b"[[1.5,2]]"), job(b"[[3.5,4]]")])
    assert asked == [[1.5, 2], [3.5, 4]]
    assert {type(one) for one in asked} == {list}


def test_arrays_of_another_form_have_calls_of_their_own():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_array, None, seen.predict, None), 64)
    forms = [np.ones((1, 2)), np.ones((2, 3)), np.ones((3, 2)), np.ones((1, 2), "f4")]
    jobs = [job(arrays.encode(form), media.NPY, "application/json") for form in forms]
    bodies = [orjson.loads(body) for _, body in answered(batches, jobs)]
    assert bodies == [(form * 2).tolist() for form in forms]
    assert sorted(given.shape for given in seen.calls) == [(1, 2), (2, 3), (4, 2)]


def test_instances_of_like_length_share_a_call_where_the_handler_tells_lengths():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None, seen.measured), 64)
    words = ["a" * length for length in (100, 3, 95, 4, 3)]
    jobs = [job(orjson.dumps([word])) for word in words]
    assert answered(batches, jobs) == [(200, orjson.dumps([word * 2])) for word in words]
    assert [sorted(map(len, given)) for given in seen.calls] == [[3, 3, 4], [95, 100]]


def test_an_instance_that_cannot_be_measured_goes_alone():
    seen = Seen()
    batches = Batches(Predictor(inputs.to_list, None, seen.predict, None, seen.measured), 64)
    assert [status for status, _ in answered(batches, [job(b'["aa"]'), job(b"[1]"), job(b'["bb"]')])] == [
        200
    ] * 3
    assert [1] in seen.calls and ["aa", "bb"] in seen.calls
