"""DataProcessing: join and filters on records (batch-transform-data-processing, API_DataProcessing)."""

import pytest

from infra.local.sagemaker.transforms.filters import parse
from infra.local.sagemaker.transforms.joining import (
    CSV,
    JSON,
    LINES,
    DataError,
    Processing,
    for_container,
    for_output,
)


def processing(kind, input_filter="$", output_filter="$", join=False):
    return Processing(kind, parse(input_filter), parse(output_filter), join)


def joined(kind, record, answer, output_filter="$"):
    return for_output(processing(kind, output_filter=output_filter, join=True), record, answer)


def test_nothing_asked_for_is_nothing_needed():
    assert not processing(LINES).is_needed
    assert processing(LINES, join=True).is_needed
    assert processing(LINES, "$.a").is_needed


def test_a_json_object_joined_gains_sagemakeroutput_and_keeps_its_text():
    assert joined(LINES, b'{"id": 1.0, "x":2}\n{}\n', b"[ 1.50]\n2\n") == (
        b'{"id": 1.0, "x":2,"SageMakerOutput":[ 1.50]}\n{"SageMakerOutput":2}\n'
    )


def test_a_record_that_is_no_object_becomes_sagemakerinput_and_sagemakeroutput():
    assert joined(LINES, b'[1,2.0]\n"a"\n', b"3\n4\n") == (
        b'{"SageMakerInput":[1,2.0],"SageMakerOutput":3}\n{"SageMakerInput":"a","SageMakerOutput":4}\n'
    )


def test_sagemakeroutput_of_the_input_gives_way_to_the_answer():
    assert joined(LINES, b'{"SageMakerOutput":1,"b":2.0}\n', b"3\n") == b'{"SageMakerOutput":3,"b":2.0}\n'


def test_a_json_document_is_one_record():
    assert joined(JSON, b'{\n "a": 1\n}\n', b'{"p": 2}\n') == b'{\n "a": 1,"SageMakerOutput":{"p": 2}}'


def test_a_csv_row_gains_the_answer_at_its_end_as_it_is_written():
    rows = b'1.0,"a,b"\r\n2,"say ""x"""\r\n'
    assert joined(CSV, rows, b"0.10\n7\n") == b'1.0,"a,b",0.10\n2,"say ""x""",7\n'


def test_the_output_filter_is_applied_to_what_was_joined():
    """The developer guide's two examples of it."""
    assert joined(CSV, b"id1,3,4\n", b"0.5\n", "$[0,-1]") == b"id1,0.5\n"
    record = b'{"id":1.0,"features":[1,2]}\n'
    assert joined(LINES, record, b"0.50\n", "$['id','SageMakerOutput']") == (
        b'{"id":1.0,"SageMakerOutput":0.50}\n'
    )


def test_the_input_filter_decides_what_the_container_gets():
    assert for_container(processing(CSV, "$[1:]"), b"id1,3,4\nid2,5,6") == b"3,4\n5,6\n"
    assert for_container(processing(CSV, "$[0]"), b'"a,b",3\n') == b'"a,b"\n'
    assert for_container(processing(LINES, "$.x"), b'{"id":1,"x":[1.0]}\n') == b"[1.0]\n"
    assert for_container(processing(JSON, "$.x"), b'{"id":1,"x":{"y":1e3}}') == b'{"y":1e3}'


def test_the_output_filter_alone_is_applied_to_the_answer():
    assert (
        for_output(processing(LINES, output_filter="$.p"), b"", b'{"p":1.0,"q":2}\n{"p":2}\n') == b"1.0\n2\n"
    )


def test_blank_lines_are_no_records():
    assert joined(LINES, b"\n1\n \n2\n\n", b"3\n\n4\n") == (
        b'{"SageMakerInput":1,"SageMakerOutput":3}\n{"SageMakerInput":2,"SageMakerOutput":4}\n'
    )


@pytest.mark.parametrize("kind", [LINES, CSV])
@pytest.mark.parametrize("answer", [b"", b"1\n", b"1\n2\n3\n"])
def test_row_23_another_number_of_answers_than_of_records_is_a_mismatch(kind, answer):
    with pytest.raises(DataError, match=rf"mismatch: .* 2 records with {answer.count(10)} predictions"):
        joined(kind, b"1\n2\n", answer)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: joined(LINES, b"{\n", b"1\n"), "Failed to parse the input as JSON, record 1 of the request"),
        (lambda: joined(LINES, b"1\n2\n", b"1\nNaN\n"), "output from the algorithm as JSON, record 2 of"),
        (lambda: for_container(processing(LINES, "$.x"), b'{"x":1}\n{"y":1}\n'), "record 2 of .* no 'x'"),
        (lambda: for_container(processing(CSV, "$[3]"), b"1,2\n"), "index 3 is outside of the record's 2"),
        (
            lambda: for_container(processing(CSV, "$[1]"), b'"1"x,2\n'),
            "record 1 of the request as CSV: b'\"1",
        ),
        (lambda: for_container(processing(LINES, "$.x"), b"x\n"), "Failed to parse JSON, record 1 of"),
    ],
)
def test_what_cannot_be_parsed_or_filtered_is_told_by_its_record(call, said):
    with pytest.raises(DataError, match=said):
        call()
