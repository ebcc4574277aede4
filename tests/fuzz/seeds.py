"""Sound inputs from which atheris begins; the same in every run."""

from __future__ import annotations

import io
import tarfile
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from inference.serving.codecs import media


def tars() -> list[bytes]:
    """Archives with folders, long names, extended headers, and members that no archive may hold."""
    found = []
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        for link in (b"", tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.GNUTYPE_SPARSE):
            out = io.BytesIO()
            with tarfile.open(fileobj=out, mode="w", format=form) as tar:
                _add(tar, "code/", b"", tarfile.DIRTYPE)
                _add(tar, "code/handler.py", b"pass")
                _add(tar, "a" * 60 + "/" + "b" * 60 + "/ü", b"x" * 600)
                if link:
                    _add(tar, "link", b"", link)
            found.append(out.getvalue())
    return found


def _add(tar: tarfile.TarFile, name: str, content: bytes, kind: bytes = tarfile.REGTYPE) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.type, info.linkname = len(content), kind, "../../out" if kind != tarfile.REGTYPE else ""
    tar.addfile(info, io.BytesIO(content))


def zips() -> list[bytes]:
    """The same as zip files."""
    found = []
    for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as archive:
            archive.writestr("MAR-INF/MANIFEST.json", b'{"model": {}}')
            archive.writestr("model.pt", bytes(300))
        found.append(out.getvalue())
    return found


def bodies() -> dict[str, list[bytes]]:
    """Requests by their content type."""
    arrays = []
    for array in (
        np.arange(6.0).reshape(2, 3),
        np.arange(4, dtype=">i2").reshape(2, 2).T,
        np.array(["a", "ü"]),
    ):
        np.save(file := io.BytesIO(), array)
        arrays.append(file.getvalue())
    tables = []
    table = pa.table(
        {"n": [1, None], "s": ["x", "y"], "l": [[1.0], []], "t": pa.array([1, 2], pa.timestamp("ns"))}
    )
    for options in ({}, {"compression": "zstd", "data_page_version": "2.0"}, {"use_dictionary": False}):
        pq.write_table(table, file := io.BytesIO(), **options)
        tables.append(file.getvalue())
    return {
        media.JSON: [
            b'[{"a": [1, -2.5e3, null, "\\u00e9"]}, true]',
            b'{"instances": [1], "parameters": {}}',
            b"{}",
        ],
        media.JSON_LINES: [b'{"a": 1}\n[2]\n"x"\n', b"1\r\n"],
        media.CSV: [b'1,2.5,"a ""b"""\r\n-3,,x\n', b"1e3,.5,nan\n"],
        f"{media.CSV}; header=present": [b'a,"b\n"\n1,2\n'],
        media.NPY: arrays,
        media.PARQUET: tables,
    }
