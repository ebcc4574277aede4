"""Objects as mini-batches, by lines and whole; the SDK's own splitters are in test_sdk_splitters.py."""

import io
import random

import pytest

from infra.local.sagemaker.transforms import splitting
from infra.local.sagemaker.transforms.splitting import MULTI, SINGLE, RecordTooLarge


def split(data, way="Line", strategy=MULTI, limit=10):
    return [(one.data, one.first) for one in splitting.payloads(io.BytesIO(data), way, strategy, limit)]


def greedy(lines, limit):
    """As many whole lines as fit, the plain way."""
    batches = []
    for line in lines:
        if batches and len(batches[-1]) + len(line) <= limit:
            batches[-1] += line
        else:
            batches.append(line)
    return batches


def test_a_multirecord_batch_has_as_many_lines_as_fit_and_no_more():
    assert split(b"12345\n789\n12\n4\n") == [(b"12345\n789\n", 1), (b"12\n4\n", 3)]


def test_a_singlerecord_batch_is_one_line_with_its_newline():
    assert split(b"a\n\nb\r\nc", strategy=SINGLE) == [(b"a\n", 1), (b"\n", 2), (b"b\r\n", 3), (b"c", 4)]


@pytest.mark.parametrize("strategy", [MULTI, SINGLE])
def test_an_empty_object_has_no_records(strategy):
    assert split(b"", strategy=strategy) == []


def test_an_object_that_is_not_split_is_one_payload_even_if_empty():
    assert split(b"", "None") == [(b"", 1)]
    assert split(b"a\nb\n", "None") == [(b"a\nb\n", 1)]


def test_only_a_newline_ends_a_record():
    text = "a\x0bb\x0cc\x1cd\u2028e\rf\n".encode()
    assert split(text, strategy=SINGLE, limit=100) == [(text, 1)]


@pytest.mark.parametrize("strategy", [MULTI, SINGLE])
def test_row_22_a_record_over_the_limit_is_told_by_its_line(strategy):
    with pytest.raises(RecordTooLarge) as caught:
        split(b"1\n2\n3\n" + b"x" * 11 + b"\n5\n", strategy=strategy)
    assert caught.value.number == 4


def test_a_record_of_just_the_limit_passes():
    assert split(b"x" * 10) == [(b"x" * 10, 1)]
    assert split(b"x" * 9 + b"\n") == [(b"x" * 9 + b"\n", 1)]
    assert split(b"x" * 10, "None") == [(b"x" * 10, 1)]
    with pytest.raises(RecordTooLarge):
        split(b"x" * 11, "None")


def test_on_random_input_the_batches_are_the_greedy_ones_and_their_numbers_the_lines():
    chance = random.Random(3)
    for _ in range(300):
        lines = [b"x" * chance.randrange(30) + b"\n" for _ in range(chance.randrange(40))]
        if lines and chance.random() < 0.5:
            lines[-1] = lines[-1].rstrip(b"\n") or b"y"
        limit = chance.randrange(31, 90)
        got = split(b"".join(lines), limit=limit)
        assert [data for data, _ in got] == greedy(lines, limit)
        firsts, at = [], 1
        for data, _ in got:
            firsts.append(at)
            at += data.count(b"\n")
        assert [first for _, first in got] == firsts


def test_no_more_than_a_payload_is_read_ahead():
    class Watched(io.BytesIO):
        def read(self, size=-1):
            assert 0 <= size <= 101  # one more, to see whether there is more
            return super().read(size)

    payloads = splitting.payloads(Watched(b"line\n" * 1000), "Line", MULTI, 100)
    assert len(next(payloads).data) == 100
