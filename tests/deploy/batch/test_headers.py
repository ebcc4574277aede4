import pytest

from deploy.batch import headers
from deploy.batch.places import BatchError


@pytest.mark.parametrize("first", [[b"x,y", b"1,2"], [b"x,y", b"a,2.5"], [b'"x","a,b"', b"-1e3,b"]])
def test_names_above_a_number_look_like_a_header_and_are_refused_with_the_fix(first):
    with pytest.raises(BatchError, match=r'^f\.csv:1: the first row looks like a header .*header = "strip"'):
        headers.refuse_likely("f.csv", first)


@pytest.mark.parametrize("first", [[b"1,y", b"1,2"], [b"x,y", b"a,b"], [b"x,", b"1,2"], [b"x,y"], []])
def test_any_other_first_row_is_a_row(first):
    headers.refuse_likely("f.csv", first)


def test_a_header_is_the_line_as_it_stands():
    assert headers.header("f", [b'a,"b c"', b"1,2"]) == 'a,"b c"'


@pytest.mark.parametrize("line", [b"a,,b", b"a,a", b'"', b"x" * 10241])
def test_a_line_that_names_no_columns_is_no_header(line):
    with pytest.raises(BatchError, match="^f:1: "):
        headers.header("f", [line])


def test_headers_that_differ_are_refused_naming_the_two_files():
    assert headers.one_header([("a", "x,y"), ("b", "x,y")]) == "x,y"
    with pytest.raises(BatchError, match=r"^a and c have different headers \('x,y', 'x'\)"):
        headers.one_header([("a", "x,y"), ("b", "x,y"), ("c", "x")])
