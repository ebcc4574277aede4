"""Content-Type and Accept."""

from __future__ import annotations

import pytest

from inference.serving.codecs import media
from inference.serving.codecs.media import CSV, JSON, JSON_LINES, NPY, ContentType
from inference.serving.errors import NotAcceptable, UnsupportedMediaType


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("application/json", ContentType(JSON)),
        ("Application/JSON; Charset=UTF-8", ContentType(JSON)),
        ("application/x-jsonlines", ContentType(JSON_LINES)),
        ("text/csv", ContentType(CSV)),
        ('text/csv; header="present"; charset=utf8', ContentType(CSV, header=True)),
        ("text/csv;header=absent", ContentType(CSV)),
        ("application/x-npy", ContentType(NPY)),
    ],
)
def test_content_types_and_their_parameters_are_read(value, found):
    assert media.content_type(value) == found


@pytest.mark.parametrize(
    "value", ["", "text/html", "application/json; charset=latin-1", "text/csv; header=maybe"]
)
def test_other_content_types_are_refused(value):
    with pytest.raises(UnsupportedMediaType, match="expected"):
        media.content_type(value)


@pytest.mark.parametrize(
    ("value", "default", "found"),
    [
        ("", CSV, CSV),
        ("*/*", NPY, NPY),
        ("text/csv", JSON, CSV),
        ("text/*", JSON, CSV),
        ("application/*", JSON_LINES, JSON_LINES),
        ("application/*", CSV, JSON),
        ("text/html, text/csv;q=0.5, */*;q=0.1", JSON, CSV),
        ("text/csv;q=0.5, application/x-npy;q=0.9", JSON, NPY),
        ("text/csv, application/json", JSON, CSV),
        ("application/json;q=0, */*", JSON, JSON_LINES),
        ("application/json; indent=2", CSV, JSON),
        ("application/json;q=high", CSV, JSON),
    ],
)
def test_the_best_format_that_accept_allows_is_chosen(value, default, found):
    assert media.accepted(value, default).format == found


@pytest.mark.parametrize("value", ["image/png", "application/json;q=0", "application/json;q=nan"])
def test_what_cannot_be_met_is_refused_with_what_can(value):
    with pytest.raises(
        NotAcceptable, match="application/json, application/jsonlines, text/csv, application/x-npy"
    ):
        media.accepted(value, JSON)
