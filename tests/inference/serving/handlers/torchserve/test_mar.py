"""A .mar may be anybody's: what leads out of it, hides in it or is too large is refused, nothing written."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from inference.serving.handlers.torchserve import mar
from inference.serving.model.archive import ArchiveError, Limits


def packed(path: Path, *members: tuple[str, bytes, int]) -> Path:
    """A zip of names, contents and Unix modes, of which each may be anything."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content, mode in members:
            member = zipfile.ZipInfo(name)
            member.external_attr = mode << 16
            member.compress_type = zipfile.ZIP_DEFLATED
            file.writestr(member, content)
    return path


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "unpacked").mkdir()
    return tmp_path / "unpacked"


def test_files_and_folders_are_unpacked(tmp_path, place) -> None:
    archive = packed(tmp_path / "m.mar", ("a/b.txt", b"one", 0), ("c", b"", 0o100644), ("d/", b"", 0o40755))
    mar.unpack(archive, place)
    assert {p.relative_to(place).as_posix() for p in place.rglob("*") if p.is_file()} == {"a/b.txt", "c"}
    assert (place / "a/b.txt").read_bytes() == b"one"


@pytest.mark.parametrize(
    ("member", "told"),
    [
        (("../out", b"x", 0), "leads out"),
        (("a/../../out", b"x", 0), "leads out"),
        (("/etc/out", b"x", 0), "leads out"),
        (("a\\..\\out", b"x", 0), "without control characters, backslashes"),
        (("C:out", b"x", 0), "without control characters, backslashes and colons"),
        (("a\nb", b"x", 0), "without control characters"),
        (("link", b"/etc/passwd", stat.S_IFLNK | 0o777), "a link or a device"),
        (("pipe", b"", stat.S_IFIFO | 0o644), "a link or a device"),
        (("a/" * 40 + "b", b"", 0), "at most 1024 bytes and 32 folders"),
        (("good", b"x", 0), "is in it twice"),
        (("./good", b"x", 0), "is in it twice"),
    ],
)
def test_a_member_that_may_not_be_there_is_refused_before_anything_is_written(
    tmp_path, place, member, told
) -> None:
    with pytest.warns() if member[0] == "good" else _nothing():
        archive = packed(tmp_path / "m.mar", ("good", b"1", 0), member)
    with pytest.raises(ArchiveError, match=told):
        mar.unpack(archive, place)
    assert list(place.iterdir()) == []


class _nothing:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


def test_a_bomb_is_refused_by_what_it_says_of_itself(tmp_path, place) -> None:
    archive = packed(tmp_path / "m.mar", ("zeros", bytes(10_000_000), 0))
    with pytest.raises(ArchiveError, match="such bomb"):
        mar.unpack(archive, place, Limits(ratio_counts_from=1_000_000))
    with pytest.raises(ArchiveError, match="expected at most 9,000,000"):
        mar.unpack(archive, place, Limits(max_bytes=9_000_000))
    with pytest.raises(ArchiveError, match="more than 0 files"):
        mar.unpack(archive, place, Limits(max_members=0))


def test_a_member_that_is_longer_than_it_says_is_cut_there(tmp_path, place) -> None:
    archive = packed(tmp_path / "m.mar", ("zeros", bytes(1_000_000), 0))
    raw = bytearray(archive.read_bytes())
    # The size in the local header and in the directory, which is what a reader believes.
    raw = raw.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(raw)
    with pytest.raises(ArchiveError, match="damaged"):
        mar.unpack(archive, place)
    assert sum(p.stat().st_size for p in place.rglob("*")) <= 10


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\x03\x04"])
def test_what_is_no_zip_is_said_to_be_none(tmp_path, place, content) -> None:
    (tmp_path / "m.mar").write_bytes(content)
    with pytest.raises(ArchiveError, match=r"m\.mar: is damaged or no zip"):
        mar.unpack(tmp_path / "m.mar", place)
