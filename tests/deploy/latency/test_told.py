"""What the runtime tells is read back, in both forms, and nothing that others say is taken for it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.latency.told import Told, by_attributes, by_header
from inference.serving.exchange import Reply
from inference.serving.online import timing

PHASES = {"queue": 0.0001, "decode": 0.002, "preprocess": 0.25, "predict": 1.5, "encode": 0.0}
ASKED_BY_HEADER = {timing.ASKED: b"1"}
ASKED_BY_ATTRIBUTE = {timing.ATTRIBUTES: b"slipway-timing"}
READ = [(by_header, ASKED_BY_HEADER), (by_attributes, ASKED_BY_ATTRIBUTE)]


def written(asked, phases, shared):
    """What the runtime itself writes to who asked so."""
    ((_, text),) = timing.told(Reply(200, "", b""), asked, phases, shared).headers
    return text.decode()


@pytest.mark.parametrize(("read", "asked"), READ)
def test_what_the_runtime_writes_is_read_back(read, asked):
    milliseconds = {"queue": 0.1, "decode": 2.0, "preprocess": 250.0, "predict": 1500.0, "encode": 0.0}
    assert read(written(asked, PHASES, 3)) == Told(milliseconds, 3, hit=False)


@pytest.mark.parametrize(("read", "asked"), READ)
def test_an_answer_from_the_cache_has_no_phases(read, asked):
    assert read(written(asked, {}, 0)) == Told({}, 0, hit=True)


def test_entries_of_others_are_passed_over():
    before, after = "gfet4t7; dur=37", 'edge;desc="miss, of a kind";dur=2'
    text = written(ASKED_BY_HEADER, {"predict": 0.02}, 1)
    assert by_header(f"{before}, {text}, {after}") == Told({"predict": 20.0}, 1, hit=False)


@pytest.mark.parametrize("text", ["", "cache;desc=hit", "gfet4t7; dur=37", "predict;dur=2", 'batch;desc="x"'])
def test_a_header_without_the_runtime_s_own_entries_tells_nothing(text):
    assert by_header(text) is None


@pytest.mark.parametrize("text", ["", "trace=1", "predict=1,batch=1,cache=miss", "slipway-timing"])
def test_attributes_of_somebody_else_tell_nothing(text):
    assert by_attributes(text) is None


WORDS = ["predict", "batch", "cache", ";", "=", "dur", "desc", '"', "1", ".5", "hit", ",", " ", "\u0661", "x"]


@given(st.lists(st.sampled_from(WORDS), max_size=20).map("".join))
def test_no_header_whatever_is_an_error(text):
    for told in (by_header(text), by_attributes("slipway-timing," + text)):
        assert told is None or all(word in text for word in ("batch", "cache", "hit"))


def test_a_header_that_was_written_anew_on_its_way_is_read():
    told = Told({"predict": 20.0}, 1, hit=False)
    assert by_header('cache ; desc=miss,predict; dur=20 ,batch;desc="1"') == told
