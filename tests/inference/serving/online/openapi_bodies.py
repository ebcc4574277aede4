"""Bodies for schemathesis, in the forms that it cannot write. SCHEMATHESIS_HOOKS names this file."""

from __future__ import annotations

import io
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import schemathesis
from hypothesis import strategies as st

finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8"), max_size=8)
plain = st.none() | st.booleans() | finite | words
instance = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
)
rows = st.lists(st.lists(finite, min_size=2, max_size=2), min_size=1, max_size=4)


def lines(instances: list[object]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in instances)


def csv(table: list[list[float]]) -> bytes:
    return b"".join(b"%r,%r\n" % tuple(row) for row in table)


def npy(table: list[list[float]]) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(table))
    return file.getvalue()


def parquet(table: list[list[float]]) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table({"a": [row[0] for row in table], "b": [row[1] for row in table]}), file)
    return file.getvalue()


for name in ("application/jsonlines", "application/x-jsonlines", "application/jsonl"):
    schemathesis.openapi.media_type(name, st.lists(instance, max_size=4).map(lines))
schemathesis.openapi.media_type("text/csv", rows.map(csv))
schemathesis.openapi.media_type("application/x-npy", rows.map(npy))
for name in ("application/vnd.apache.parquet", "application/x-parquet"):
    schemathesis.openapi.media_type(name, rows.map(parquet))
