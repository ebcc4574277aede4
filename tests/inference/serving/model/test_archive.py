"""What an archive may hold, and all that it may not: nothing of a refused one is taken for a model."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
from pathlib import Path

import pytest

from inference.serving.model.archive import ArchiveError, Limits, unpack

# So small an archive is allowed nothing, to see each limit by itself.
SMALL = Limits(max_bytes=300_000, max_members=5, max_ratio=10, ratio_counts_from=20_000)


def member(name: str, content: bytes = b"x", **header: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in header.items():
        setattr(info, field, value)
    return info, content


def packed(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return path


def refused(archive: Path, limits: Limits | None = None) -> str:
    with pytest.raises(ArchiveError) as caught:
        unpack(archive, archive.parent / "unpacked", limits)
    assert str(caught.value).startswith(f"{archive}: ")
    return str(caught.value)


def test_files_and_folders_are_unpacked_read_only(tmp_path: Path) -> None:
    long = "/".join(["a" * 60] * 4) + "/weights.bin"
    folder = member("code/", b"", type=tarfile.DIRTYPE)
    archive = packed(
        tmp_path / "m.tar.gz", folder, member("./code/handler.py", b"pass"), member(long, bytes(3_000_000))
    )
    place = tmp_path / "deep/er"
    unpack(archive, place)
    assert (place / "code/handler.py").read_text() == "pass"
    assert (place / long).read_bytes() == bytes(3_000_000)
    assert stat.S_IMODE((place / long).stat().st_mode) == 0o444


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([member("l", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd")], "'l' is a symbolic link"),
        ([member("l", b"", type=tarfile.LNKTYPE, linkname="a")], "'l' is a hard link"),
        ([member("d", b"", type=tarfile.CHRTYPE)], "'d' is a device"),
        ([member("p", b"", type=tarfile.FIFOTYPE)], "'p' is a named pipe"),
        ([member("/abs")], "'/abs' leads out of the archive"),
        ([member("a/../../b")], "leads out of the archive"),
        ([member("a\nb")], r"'a\nb': expected a name without control characters"),
        ([member("a\u202eb")], "without control characters"),
        ([member("a\\b")], "backslashes"),
        ([member("a\udcff")], "in UTF-8"),
        ([member("a"), member("a")], "a is there already"),
        ([member("a"), member("a/b")], "unpacked/a is there already"),
        ([member("a/", b"", type=tarfile.DIRTYPE)], "holds no files"),
        ([member("a" * 1100)], "at most 1024 bytes"),
        ([member("/".join("a" * 40))], "32 folders"),
    ],
)
def test_what_is_no_plain_file_in_its_own_place_is_refused(tmp_path: Path, members, reason: str) -> None:
    """Row 17 of the faults: links, devices, ways out of the archive."""
    said = refused(packed(tmp_path / "m.tar.gz", *members))
    assert reason in said
    assert said.isprintable()
    assert not (tmp_path / "b").exists()


def test_a_folder_written_before_cannot_lead_a_file_elsewhere(tmp_path: Path) -> None:
    link = member("in", b"", type=tarfile.SYMTYPE, linkname=str(tmp_path))
    refused(packed(tmp_path / "m.tar.gz", link, member("in/marker")))
    assert not (tmp_path / "marker").exists()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([member(str(n)) for n in range(6)], "more than 5 members"),
        ([member("a", bytes(100_000))], "over 10 times its size"),
        ([member("a", bytes(range(256)) * 1500)], "300,000 bytes"),
    ],
)
def test_an_archive_that_would_fill_the_disk_is_refused(tmp_path: Path, members, reason: str) -> None:
    """Row 17 of the faults: bombs."""
    limits = SMALL if "times" in reason else Limits(max_bytes=300_000, max_members=5)
    assert reason in refused(packed(tmp_path / "m.tar.gz", *members), limits)


@pytest.mark.parametrize("spoil", [lambda tar: tar[:700], lambda tar: tar[:512] + b"y" * 512 + tar[1024:]])
def test_a_cut_or_damaged_tar_is_refused(tmp_path: Path, spoil) -> None:
    whole = gzip.decompress(packed(tmp_path / "w.tar.gz", member("a", b""), member("b")).read_bytes())
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(spoil(whole)))
    refused(tmp_path / "m.tar.gz")


@pytest.mark.parametrize(
    "spoil", [lambda packed: packed[:-12], lambda packed: packed[:-6] + b"abcdef", lambda _: b"no gzip"]
)
def test_a_cut_or_damaged_gzip_file_is_refused(tmp_path: Path, spoil) -> None:
    whole = packed(tmp_path / "w.tar.gz", member("a", bytes(range(256)) * 99)).read_bytes()
    (tmp_path / "m.tar.gz").write_bytes(spoil(whole))
    refused(tmp_path / "m.tar.gz")


def test_a_header_that_claims_to_be_huge_is_not_read(tmp_path: Path) -> None:
    header = tarfile.TarInfo("x")
    header.type, header.size = tarfile.XHDTYPE, 2**33
    tar = header.tobuf(tarfile.GNU_FORMAT) + bytes(2048)
    (tmp_path / "m.tar.gz").write_bytes(gzip.compress(tar))
    assert "has a header of 8,589,934,592 bytes" in refused(tmp_path / "m.tar.gz")
