"""JSON that passes through keeps its numbers."""

import pytest

from infra.local.sagemaker.transforms import exactjson

NUMBERS = ["1.0", "0.1", "1e3", "1E+3", "-0", "-0.0", "1.10", "1e999", str(2**80), "9" * 5000, "123", "0"]


@pytest.mark.parametrize("number", NUMBERS, ids=lambda text: text[:12])
@pytest.mark.parametrize("form", ["{}", "[{}]", '{{"a":{{"b":[1,{},"x"]}},"c":null}}'])
def test_a_number_comes_out_as_it_went_in(number, form):
    text = form.format(number)
    assert exactjson.write(exactjson.parse(text.encode())).decode() == text


def test_keys_keep_their_order_and_text_its_letters():
    text = '{"z":1,"a":"\u00e9 \\" \\n","m":[],"o":{},"t":[true,false,null]}'.encode()
    assert exactjson.write(exactjson.parse(text)) == text


def test_the_spaces_that_python_writes_are_left_out():
    assert exactjson.write(exactjson.parse(b'{"a": [1, 2.50]}')) == b'{"a":[1,2.50]}'
    assert exactjson.write(exactjson.parse(b'{"a": [1, 2.5]}')) == b'{"a":[1,2.5]}'


def test_half_a_surrogate_pair_stays_an_escape():
    for text in (b'"\\ud800"', b'{"\\udfff":"\\ud800","n":1e5}'):
        assert exactjson.write(exactjson.parse(text)) == text


def test_what_is_nested_too_deeply_is_told_in_words():
    value = []
    for _ in range(5000):
        value = [value]
    with pytest.raises(ValueError, match="nested too deeply"):
        exactjson.write(value)


@pytest.mark.parametrize("text", [b"", b"NaN", b"[Infinity]", b"{", b"1 2", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ValueError):
        exactjson.parse(text)
    with pytest.raises(ValueError):
        exactjson.names(text)


def test_the_names_of_an_object_are_told_and_of_nothing_else():
    assert set(exactjson.names(b'{"a": 1, "b": {"c": 2}}') or ()) == {"a", "b"}
    assert exactjson.names(b"[1]") is None
    assert exactjson.names(b"9" * 5000) is None
