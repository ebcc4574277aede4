"""RecordIO and TFRecord: SingleRecord removes the frame, MultiRecord keeps it (TransformInput)."""

import io
import struct

import pytest

from infra.local.sagemaker.transforms import splitting
from infra.local.sagemaker.transforms.framing import FrameError
from infra.local.sagemaker.transforms.splitting import MULTI, SINGLE, RecordTooLarge

MAGIC = struct.pack("<I", 0xCED7230A)


def recordio(data, flag=0):
    return MAGIC + struct.pack("<I", flag << 29 | len(data)) + data + bytes(-len(data) % 4)


def tfrecord(data):
    return struct.pack("<Q", len(data)) + b"sum1" + data + b"sum2"


FRAMES = {"RecordIO": recordio, "TFRecord": tfrecord}


def split(data, way, strategy, limit=100):
    return [one.data for one in splitting.payloads(io.BytesIO(data), way, strategy, limit)]


@pytest.mark.parametrize("way", FRAMES)
def test_singlerecord_sends_the_content_and_multirecord_the_frames_that_fit(way):
    records = [b"one", b"two22", b"x" * 40, b""]
    frames = [FRAMES[way](one) for one in records]
    assert split(b"".join(frames), way, SINGLE) == records
    limit = len(frames[0] + frames[1]) + 39  # so that the third does not fit
    batches = split(b"".join(frames), way, MULTI, limit)
    assert batches == [frames[0] + frames[1], frames[2] + frames[3]]


def test_a_recordio_record_that_was_cut_at_its_magic_number_is_one_record():
    parts = recordio(b"abcd", 1) + recordio(b"efgh", 2) + recordio(b"ij", 3)
    assert split(parts + recordio(b"next"), "RecordIO", SINGLE) == [
        b"abcd" + MAGIC + b"efgh" + MAGIC + b"ij",
        b"next",
    ]
    assert split(parts + recordio(b"next"), "RecordIO", MULTI) == [parts + recordio(b"next")]


@pytest.mark.parametrize("way", FRAMES)
@pytest.mark.parametrize("strategy", [MULTI, SINGLE])
def test_row_22_a_record_over_the_limit_is_told_by_its_number(way, strategy):
    data = FRAMES[way](b"a") + FRAMES[way](b"x" * 101)
    with pytest.raises(RecordTooLarge) as caught:
        split(data, way, strategy)
    assert caught.value.number == 2


@pytest.mark.parametrize("way", FRAMES)
@pytest.mark.parametrize("strategy", [MULTI, SINGLE])
def test_a_file_that_breaks_off_or_is_of_another_format_is_an_error(way, strategy):
    good = FRAMES[way](b"abcdefgh")
    for damaged in (good[:-1], good[:5], good + good[:9]):
        with pytest.raises(FrameError, match="record"):
            split(damaged, way, strategy)


def test_a_length_that_is_a_lie_takes_no_memory():
    huge = struct.pack("<Q", 2**60) + b"sum1" + b"x" * 500
    with pytest.raises(RecordTooLarge):
        split(huge, "TFRecord", SINGLE)
