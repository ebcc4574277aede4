"""Pickles in the archive: to load one is to run the code in it.

picklescan reads which functions a pickle would call and knows those that give it the machine; it is asked of
every file that is a pickle by its content, whatever its name is. joblib's compressed ones are inflated first.
"""

from __future__ import annotations

import bz2
import contextlib
import logging
import lzma
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from deploy.checking.findings import Finding, error, warning
from deploy.checking.subject import Subject
from deploy.importing import pickles as looking
from deploy.package.members import MANIFEST

MOST_BYTES = 8 * 2**30  # that one compressed pickle may inflate to
_NAMES = {".pkl", ".pickle", ".joblib", ".pt", ".pth", ".ckpt", ".bin", ".npy", ".npz", ".dill", ".sav"}
_PICKLE, _NUMPY, _ZIP = b"\x80", b"\x93NUMPY", b"PK\x03\x04"
_PIECE = 2**20
_FIX = "save weights as safetensors, or a scikit-learn model with skops; load what you trained yourself"


@dataclass(frozen=True)
class Scan:
    """What a file would call when it is loaded, by name: what gives it the machine, and what is not known to
    be harmless. Weights by themselves call neither. `whole` is whether it could be read to its end,
    `saved_by` the scikit-learn that saved it, or "".
    """

    dangerous: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    whole: bool = True
    saved_by: str = ""


def found(subject: Subject) -> Iterator[Finding]:
    """What would run when the handler loads its model, and a scikit-learn that is not the requirements'."""
    for path in sorted(path for path in subject.model.rglob("*") if path.is_file()):
        member = path.relative_to(subject.model).as_posix()
        if member != MANIFEST:
            scan = scanned(path)
            if member not in subject.config.check.trusted_pickles:
                yield from _of(scan, subject.place(member), member)
            yield from _version(scan.saved_by, subject.place(member), subject)


def _of(scan: Scan, place: str, member: str) -> Iterator[Finding]:
    trusted = f"where you know its code, [check] trusted_pickles = [{member!r}]"
    if scan.dangerous:
        value = f"calls {', '.join(scan.dangerous)} when it is loaded: code that runs in your account"
        yield error(place, value, f"{_FIX}; {trusted}")
    elif scan.unknown:
        value = "is a pickle, which may run any code when it is loaded"
        yield warning(place, value if scan.whole else f"{value}; not all of it could be read", _FIX)


def scanned(path: Path) -> Scan:
    """Scan a file that is a pickle by its content, perhaps compressed, or may be one by its name."""
    with path.open("rb") as file:
        start = file.read(8)
    opener = next((opener for magic, opener in _PACKED if start.startswith(magic)), None)
    if opener is None:
        return _scan(path, path.suffix.lower() in _NAMES)
    with tempfile.NamedTemporaryFile() as plain:
        with contextlib.suppress(OSError, EOFError, zlib.error, lzma.LZMAError):  # no more of it is one
            for piece in opener(path):
                plain.write(piece)
        plain.flush()
        return _scan(Path(plain.name), may_be=True)


def _scan(plain: Path, may_be: bool) -> Scan:
    with plain.open("rb") as data:
        start = data.read(8)
    packed = start.startswith(_ZIP) and zipfile.is_zipfile(plain)
    if not start or not (packed or may_be or start.startswith((_PICKLE, _NUMPY))):
        return Scan()
    scanner: Any = import_module("picklescan.scanner")  # only where there is something to scan
    logging.getLogger("picklescan").setLevel(logging.CRITICAL + 1)
    try:
        with plain.open("rb") as data:
            result = scanner.scan_bytes(data, plain.name, ".npy" if start.startswith(_NUMPY) else None)
    except Exception as error:  # it raises what zipfile, numpy and pickletools raise
        return Scan(unknown=(f"what cannot be read ({type(error).__name__})",), whole=False)
    told = _told(result, scanner.SafetyLevel)
    return replace(told, saved_by=looking.looked_at(plain).sklearn) if told.unknown else told


def _told(result: Any, level: Any) -> Scan:
    named = {f"{one.module}.{one.name}": one.safety for one in result.globals if not _is_script(one.module)}
    dangerous, unknown = (
        tuple(sorted(name for name, safety in named.items() if safety is kind))
        for kind in (level.Dangerous, level.Suspicious)
    )
    return Scan(dangerous, unknown, whole=not result.scan_err)


def _is_script(module: str) -> bool:
    """Whether it is TorchScript's, whose reader calls nothing by name."""
    return module == "torch.jit._pickle" or module.startswith("__torch__")


def _version(saved: str, place: str, subject: Subject) -> Iterator[Finding]:
    """scikit-learn says which version saved an estimator, and reads it rightly in that one alone."""
    if not saved:
        return
    lines = [line for line in subject.lines if line.name == "scikit-learn"]
    wanted = next((line.version for line in lines if line.version), subject.pins.get("scikit-learn", ""))
    if not lines:
        fix = f"write scikit-learn=={saved} into it"
        yield error(place, f"was saved by scikit-learn {saved}, which inference/requirements.txt lacks", fix)
    elif wanted and saved.split(".")[:2] != wanted.split(".")[:2]:
        value = f"was saved by scikit-learn {saved}, and inference/requirements.txt installs {wanted}"
        yield error(place, value, "train with the version that serves: another may answer wrongly")


def _inflated(wbits: int, path: Path) -> Iterator[bytes]:
    """What zlib makes of it, as far as it goes."""
    inflater, left = zlib.decompressobj(wbits), MOST_BYTES
    with path.open("rb") as file:
        while left > 0 and (packed := inflater.unconsumed_tail or file.read(_PIECE)):
            piece = inflater.decompress(packed, _PIECE)
            left -= len(piece)
            yield piece


def _expanded(made: type[bz2.BZ2Decompressor] | type[lzma.LZMADecompressor], path: Path) -> Iterator[bytes]:
    """The same of the other two, which keep by themselves what they have not used yet."""
    expander, left = made(), MOST_BYTES
    with path.open("rb") as file:
        while left > 0 and not expander.eof:
            packed = file.read(_PIECE) if expander.needs_input else b""
            if expander.needs_input and not packed:
                return
            piece = expander.decompress(packed, _PIECE)
            left -= len(piece)
            yield piece


# By joblib's own names: zlib, gzip, bz2, lzma.
_PACKED: tuple[tuple[bytes, Callable[[Path], Iterator[bytes]]], ...] = (
    *((magic, partial(_inflated, 15)) for magic in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")),
    (b"\x1f\x8b", partial(_inflated, 31)),
    (b"BZh", partial(_expanded, bz2.BZ2Decompressor)),
    (b"\xfd7zXZ", partial(_expanded, lzma.LZMADecompressor)),
)
