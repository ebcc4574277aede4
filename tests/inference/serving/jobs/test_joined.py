"""Record and answer in one line, as the platform joins them."""

from __future__ import annotations

import orjson
import pytest

from inference.serving.codecs.media import CSV, JSON_LINES
from inference.serving.jobs.joined import join


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b'{"x": 1.50}', b'{"x": 1.50,"SageMakerOutput":[7]}\n'),
        (b" {} \r", b'{"SageMakerOutput":[7]}\n'),
        (b"{ }", b'{"SageMakerOutput":[7]}\n'),
        (b'{ "x": 1e3\t} ', b'{ "x": 1e3,"SageMakerOutput":[7]}\n'),
        (b"[1, 2]", b'{"SageMakerInput":[1, 2],"SageMakerOutput":[7]}\n'),
        (b'"text"', b'{"SageMakerInput":"text","SageMakerOutput":[7]}\n'),
        (b" 1e3 \r", b'{"SageMakerInput": 1e3 ,"SageMakerOutput":[7]}\n'),
        (b'{"SageMakerOutput":1,"x":2}', b'{"SageMakerOutput":[7],"x":2}\n'),
        (b'{"x":"SageMakerOutput", "y":1e3}', b'{"x":"SageMakerOutput", "y":1e3,"SageMakerOutput":[7]}\n'),
        (b"{broken", b'{"SageMakerInput":"{broken","SageMakerOutput":[7]}\n'),
    ],
)
def test_json_gains_the_answer(record: bytes, expected: bytes) -> None:
    joined = join([record], [b"[7]"], JSON_LINES)
    assert joined == expected
    orjson.loads(joined)


def test_csv_gains_the_answers_cells() -> None:
    assert join([b"a,b\r", b'1,"x,y"'], [b"p", b"7,8"], CSV) == b'a,b,p\n1,"x,y",7,8\n'


def test_a_missing_answer_is_no_shorter_result() -> None:
    with pytest.raises(ValueError, match="shorter"):
        join([b"1", b"2"], [b"3"], JSON_LINES)
