"""Files of lines in the form in which their results can be put back into order: JSON Lines with keys.

Vertex AI promises no order, and shares the records of all files among its machines. Of all that it offers,
only a key brings an answer back to its record: named as `keyField`, it stands beside the prediction and not
in what the container gets. So each record travels verbatim, as a text, beside its key, and a file that lies
in Cloud Storage already is written anew, too.
Source: cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#filter_and_transform_input_data
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted

from deploy.batch import inputs, staging
from deploy.batch.counting import BOM, Readable, whole_lines
from deploy.batch.inputs import Hashed
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Place, Remote
from deploy.batch.threads import in_threads
from deploy.config import Config
from deploy.gcp import storage

KEY, RECORD = "key", "record"
_KEY = re.compile(r"([0-9]{1,9}):([0-9]{1,18})")
_BLANK = " \t\r\x0b\x0c"  # as `counting` has it


@dataclass(frozen=True)
class _Lot:
    """What is brought where: the order's files, which lie under `origin`."""

    config: Config
    order: Order
    origin: Place
    to: Remote
    sent: Callable[[int], None]


def place_of(to: Remote, number: int) -> Remote:
    """The object of the run's file of this number: the file's own name might hold a wildcard."""
    return to / f"{number}.jsonl"


def numbers(key: object) -> tuple[int, int]:
    """The numbers of file and record, both from 0, that a key stands for. ValueError for no key of ours."""
    found = _KEY.fullmatch(str(key))
    if not found:
        raise ValueError(f"{key!r} is no key")
    return int(found[1]), int(found[2])


def stage(config: Config, order: Order, origin: Place, to: Remote) -> None:
    """Below `to`, make an object of keyed records of each of the job's files that has none yet.

    It is there whole or not at all, and only of a file that still is what was counted: BatchError for
    another. It need not be looked at again: a run is known by the content of its files.
    """
    there = {one.key for one in storage.listed(config, to)}
    missing = [one for one in order.wanted.items() if place_of(to, one[0]).key not in there]
    if not missing:
        return
    with staging.progress([file for _, file in missing]) as sent:
        lot = _Lot(config, order, origin, to, sent)
        in_threads(lambda one: _staged(lot, *one), missing)


def _staged(lot: _Lot, number: int, file: File) -> None:
    place, to = lot.origin / file.name, place_of(lot.to, number)
    changed = BatchError(f"{place}: {staging.CHANGED}")
    # The object is made when `out` is closed: not where an error comes before that.
    with storage.written(lot.config, to) as out, inputs.opened(storage, lot.config, place) as raw:
        hashed = Hashed(_Counted(raw, lot.sent))
        try:
            for block in lines(inputs.unpacked(hashed, lot.order.kind), number, _skips(lot.order)):
                out.write(block)
            digest = _digest_now(lot.config, place, hashed)
        except (OSError, EOFError, zlib.error) as error:
            raise changed from error
        if digest != file.digest:
            raise changed


class _Counted:
    """A stream whose bytes are told as they are read."""

    def __init__(self, stream: Readable, sent: Callable[[int], None]) -> None:
        self._stream, self._sent = stream, sent

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._sent(len(data))
        return data


def _digest_now(config: Config, place: Place, hashed: Hashed) -> str:
    if not isinstance(place, Remote):
        return hashed.whole()
    now = storage.found(config, place)
    return now.digest if now else ""


def _skips(order: Order) -> bool:
    """Whether the header is left out: it is answered, by one over all columns, only where rows are joined."""
    return order.settings.header == "strip" and not order.headed


def lines(stream: Readable, number: int, skips: bool) -> Iterator[bytes]:
    """The stream's records, but the first if it `skips` that, as keyed lines of JSON; a blank line is none.

    They are ASCII alone: however the service cuts lines and reads text, these stay what they are.
    """
    record = -1 if skips else 0
    for at, block in enumerate(whole_lines(stream)):
        # What is no UTF-8 was refused when it was counted, and a file that has changed since then is, too.
        text = (block if at else block.removeprefix(BOM)).decode(errors="replace")
        rows = [row for row in text.split("\n") if row.strip(_BLANK)]
        keyed = [
            f'{{"{KEY}":"{number}:{place}","{RECORD}":{quoted(row)}}}\n'
            for place, row in enumerate(rows, record)
            if place >= 0
        ]
        yield "".join(keyed).encode()
        record += len(rows)
