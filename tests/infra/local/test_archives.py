"""Whatever an archive holds, unpacking it writes plain files in its folder, or stops with a clear error."""

from __future__ import annotations

import errno
import gzip
import io
import os
import stat
import subprocess
import sys
import tarfile
import tracemalloc
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local import archives
from infra.local.archives import ArchiveError, Limits, unpack

ROOT = Path(__file__).parents[3]


def _member(name: str, kind: bytes = tarfile.REGTYPE, **facts: object) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    for fact, value in facts.items():
        setattr(member, fact, value)
    return member


def _tar(*members: tarfile.TarInfo | str, format: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar of the members; one given by name alone is a file that holds its own name."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=format) as archive:
        for member in members:
            content = member.encode() if isinstance(member, str) else b""
            info = _member(member, size=len(content)) if isinstance(member, str) else member
            archive.addfile(info, io.BytesIO(content))
    return file.getvalue()


def _gz(*members: tarfile.TarInfo | str) -> bytes:
    return gzip.compress(_tar(*members))


def _unpack(packed: bytes, destination: Path, **limits: int) -> None:
    unpack(io.BytesIO(packed), destination, Limits(**limits))


@pytest.fixture
def there(tmp_path) -> Path:
    folder = tmp_path / "outer" / "there"
    folder.mkdir(parents=True)
    return folder


def _refuse(packed: bytes, there: Path, said: str, **limits: int) -> None:
    """Expect a refusal, and see that nothing was written but plain files inside the folder."""
    outer = there.parent.parent
    before = {path for path in outer.rglob("*") if not path.is_relative_to(there)}
    with pytest.raises(ArchiveError, match=said) as refused:
        _unpack(packed, there, **limits)
    assert str(refused.value).isprintable()
    assert {path for path in outer.rglob("*") if not path.is_relative_to(there)} == before
    assert all(stat.S_ISREG(path.lstat().st_mode) or path.is_dir() for path in there.rglob("*"))


def test_files_and_folders_are_unpacked_read_only(there):
    _unpack(_gz("model.pt", _member("code", tarfile.DIRTYPE, mode=0o700), "code/handler.py", "a/b/c"), there)

    files = {path.relative_to(there).as_posix(): path for path in there.rglob("*") if path.is_file()}
    assert {name: path.read_text() for name, path in files.items()} == {name: name for name in files}
    assert files.keys() == {"model.pt", "code/handler.py", "a/b/c"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files.values()} == {0o444}
    assert {stat.S_IMODE(path.stat().st_mode) for path in there.rglob("*") if path.is_dir()} == {0o755}


def test_modes_do_not_depend_on_the_umask_or_the_archive(there):
    previous = os.umask(0o077)
    try:
        _unpack(_gz(_member("setuid", mode=0o4777), "d/file"), there)
    finally:
        os.umask(previous)

    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in there.rglob("*")}
    assert modes == {"setuid": 0o444, "d": 0o755, "file": 0o444}


LONG = "/".join(["long" * 20] * 6) + "/été.txt"


@pytest.mark.parametrize("format", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_and_foreign_names_are_understood_in_both_dialects(there, format):
    _unpack(gzip.compress(_tar(LONG, "x" * 101, "short", format=format)), there)

    assert (there / LONG).read_text() == LONG
    assert (there / ("x" * 101)).is_file() and (there / "short").is_file()


def test_what_gnu_tar_makes_of_a_folder_is_unpacked(there, tmp_path):
    (tmp_path / "model/code").mkdir(parents=True)
    (tmp_path / "model/code/handler.py").write_text("pass")
    (tmp_path / "model/model.pt").write_bytes(bytes(3_000_000))
    packed = subprocess.run(["tar", "-C", tmp_path / "model", "-cz", "."], check=True, capture_output=True)

    _unpack(packed.stdout, there)

    assert (there / "code/handler.py").read_text() == "pass"
    assert (there / "model.pt").read_bytes() == bytes(3_000_000)


def test_a_stream_that_gives_a_byte_at_a_time_is_enough(there):
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(1, size or 0))

    unpack(Slow(_gz("model.pt", LONG)), there, Limits())

    assert (there / "model.pt").read_text() == "model.pt"


def test_bytes_that_arrive_after_the_end_are_seen(there):
    class InTwo(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(size or 0, max(1, len(WHOLE) - self.tell())))

    with pytest.raises(ArchiveError, match="goes on after the end of its gzip stream"):
        unpack(InTwo(WHOLE + b"x"), there, Limits())


def test_an_unasked_global_header_does_no_harm(there):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", pax_headers={"comment": "a commit"}) as archive:
        archive.addfile(_member("model.pt"))

    _unpack(gzip.compress(file.getvalue()), there)

    assert (there / "model.pt").is_file()


REFUSED = {
    "symbolic link": (_member("s", tarfile.SYMTYPE, linkname="model.pt"), "'s' is a symbolic link"),
    "link outside": (_member("s", tarfile.SYMTYPE, linkname="../../x"), "'s' is a symbolic link"),
    "hard link": (_member("h", tarfile.LNKTYPE, linkname="model.pt"), "'h' is a hard link"),
    "long link": (_member("h", tarfile.LNKTYPE, linkname="x" * 200), "'h' is a hard link"),
    "character device": (_member("c", tarfile.CHRTYPE, devmajor=1, devminor=3), "'c' is a device"),
    "block device": (_member("b", tarfile.BLKTYPE), "'b' is a device"),
    "pipe": (_member("p", tarfile.FIFOTYPE), "'p' is a named pipe"),
    "sparse": (_member("s", tarfile.GNUTYPE_SPARSE), "'s' is a sparse file"),
    "unknown kind": (_member("v", b"V"), "'v' is of the unknown kind b'V'"),
    "absolute": (_member("/etc/x"), "'/etc/x' is an absolute path"),
    "absolute by two": (_member("//x"), "is an absolute path"),
    "up": (_member("../x"), r"'\.\./x' leads out"),
    "up inside": (_member("a/../../x"), "leads out"),
    "up in a folder": (_member("..", tarfile.DIRTYPE), "leads out"),
    "backslash": (_member("a\\..\\x"), "backslash"),
    "drive": (_member("C:x"), "drive letter"),
    "newline": (_member("a\nb"), r"'a\\nb' has control characters"),
    "escape": (_member("\x1b[2J"), "control characters"),
    "NUL": (_member("x", pax_headers={"path": "a\0b"}), "control characters"),
    "no name": (_member("."), "a file without a name"),
    "deep": (_member("d/" * 33 + "x"), "32 folders deep"),
    "long": (_member("d" * 1025), "over 1024 bytes long"),
    "longer than the system takes": (_member("d" * 300), "cannot be written"),
    "pax sparse": (_member("x", pax_headers={"GNU.sparse.major": "1"}), "a sparse file after 'model.pt'"),
    "size without number": (_member("x", pax_headers={"size": "-5"}), "'x' has a size that is no number"),
    "folder with content": (
        _member("d", tarfile.DIRTYPE, pax_headers={"size": "512"}),
        "a folder with content",
    ),
}


@pytest.mark.parametrize(("member", "said"), REFUSED.values(), ids=REFUSED.keys())
def test_a_member_that_is_no_plain_file_inside_is_refused(there, member, said):
    _refuse(_gz("model.pt", member), there, said)


@pytest.mark.parametrize("first", ["a", "./a", "a/", "b/../a"])
def test_a_file_that_is_there_twice_is_refused(there, first):
    _refuse(_gz(first, ".//a"), there, "leads out" if ".." in first else r"'\.//a' is there twice")


def test_a_file_is_no_folder_too(there):
    _refuse(_gz("a", "a/b"), there, "'a/b' is there twice, or is a file and a folder")
    _refuse(_gz("c/b", "c"), _fresh(there), "'c' is there twice, or is a file and a folder")


def _fresh(there: Path) -> Path:
    fresh = there.parent / "fresh"
    fresh.mkdir()
    return fresh


def test_sixteen_levels_of_links_and_dots_lead_nowhere(there):
    """Round tarfile's data filter: links so long that resolving them gives up, then one that leaves."""
    folder = "d" * 247
    members: list[tarfile.TarInfo | str] = []
    path = ""
    for letter in "abcdefghijklmnop":
        members.append(_member(path + folder, tarfile.DIRTYPE))
        members.append(_member(path + letter, tarfile.SYMTYPE, linkname=folder))
        path += letter + "/"
    beyond = "/".join("abcdefghijklmnop") + "/" + "l" * 254
    members += [
        _member(beyond, tarfile.SYMTYPE, linkname="../" * 16),
        _member("escape", tarfile.SYMTYPE, linkname=beyond + "/../../there"),
        "escape/planted",
    ]

    _refuse(_gz(*members), there, "'a' is a symbolic link")
    assert not list(there.parent.parent.rglob("planted"))


@pytest.mark.parametrize("head", ["s", "s/.", "./s"])
def test_a_link_is_refused_before_anything_can_go_through_it(there, tmp_path, head):
    link = _member("s", tarfile.SYMTYPE, linkname=str(tmp_path))

    _refuse(_gz("model.pt", link, head + "/planted"), there, "'s' is a symbolic link")
    assert not (tmp_path / "planted").exists()


def test_a_folder_that_is_not_empty_is_refused(there, tmp_path):
    (there / "code").symlink_to(tmp_path)

    with pytest.raises(ArchiveError, match="into an empty folder"):
        _unpack(_gz("code/handler.py"), there)
    assert not (tmp_path / "handler.py").exists()


WHOLE = _gz("model.pt", "code/handler.py")
TAR = _tar("model.pt", "code/handler.py")


@pytest.mark.parametrize("length", [1, 9, 10, 11, len(WHOLE) // 2, len(WHOLE) - 8, len(WHOLE) - 1])
def test_a_truncated_gzip_stream_is_refused(there, length):
    _refuse(WHOLE[:length], there, "breaks off before the end of its gzip stream")


@pytest.mark.parametrize("length", [100, 512, 600, 1024, 1536, 2048 - 1])
def test_a_truncated_tar_in_a_whole_gzip_stream_is_refused(there, length):
    _refuse(gzip.compress(TAR[:length]), there, "breaks off: the tar ends without its end mark")


def test_a_wrong_checksum_is_refused(there):
    for position in (-8, -5, -4, -1):
        damaged = bytearray(WHOLE)
        damaged[position] ^= 1
        _refuse(bytes(damaged), _fresh(there), "damaged, or no gzip file .*incorrect (data|length) check")
        _empty(there.parent / "fresh")


def _empty(folder: Path) -> None:
    subprocess.run(["rm", "-rf", str(folder)], check=True)


@pytest.mark.parametrize(
    ("packed", "said"),
    [
        (b"", "the archive is empty"),
        (b"PK\x03\x04 a zip", "damaged, or no gzip file .*incorrect header"),
        (TAR, "damaged, or no gzip file"),
        (zlib.compress(TAR), "damaged, or no gzip file"),
        (gzip.compress(b""), "the archive breaks off"),
        (gzip.compress(b"not a tar" * 100), "a damaged header .* at its start"),
        (gzip.compress(_tar()), "the archive holds no files"),
        (_gz(_member("code", tarfile.DIRTYPE)), "the archive holds no files"),
        (WHOLE + b"\0", "goes on after the end of its gzip stream"),
        (WHOLE + b"trailing" * 100_000, "goes on after the end of its gzip stream"),
        (WHOLE + WHOLE, "goes on after the end of its gzip stream"),
        (gzip.compress(TAR + TAR), "something that is no header after 'code/handler.py'"),
        (gzip.compress(TAR[:1024] + b"\x01" * 512 + TAR[1024:]), "a damaged header .* after 'model.pt'"),
    ],
)
def test_what_is_not_one_whole_archive_is_refused(there, packed, said):
    _refuse(packed, there, said)


def test_a_flipped_byte_in_a_header_is_refused_not_taken_for_the_end(there):
    for position in range(1024, 1024 + 512, 7):
        damaged = bytearray(TAR)
        damaged[position] ^= 0x10
        fresh = _fresh(there)
        _refuse(gzip.compress(bytes(damaged)), fresh, "damaged header")
        _empty(fresh)


def test_a_size_below_nothing_is_refused(there):
    block = bytearray(_member("x").tobuf(tarfile.GNU_FORMAT))
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    _refuse(gzip.compress(TAR[:1024] + bytes(block) + bytes(1024)), there, "'x' has a negative size")


def test_too_many_members_are_refused(there):
    many = [f"f{number}" for number in range(11)]

    _unpack(_gz(*many[:10]), _fresh(there), max_members=10)
    _refuse(_gz(*many), there, "more than the 10 members allowed after 'f9'", max_members=10)


def test_headers_without_members_count_as_members(there):
    header = _member("x", pax_headers={"comment": "c"}).tobuf(tarfile.PAX_FORMAT)[:1024]

    _refuse(gzip.compress(header * 50), there, "more than the 20 members allowed", max_members=20)


def test_a_member_announced_as_too_large_is_refused_before_it_is_written(there):
    large = _member("large.bin", size=5_000_000)
    packed = gzip.compress(large.tobuf() + bytes(5_000_000 + 1024))

    _refuse(packed, there, "'large.bin' is over the 4,000,000 bytes", max_bytes=4_000_000)
    assert not list(there.iterdir())


def test_many_members_that_are_too_large_together_are_refused(there):
    packed = _gz(*[_member(f"{n}", tarfile.REGTYPE) for n in range(100)])

    _refuse(packed, there, "is over the 20,000 bytes that an archive may unpack to", max_bytes=20_000)


def test_a_bomb_is_refused_for_its_ratio(there):
    bomb = gzip.compress(_member("zeros", size=30_000_000).tobuf() + bytes(30_000_000 + 1024))
    assert len(bomb) < 40_000

    _refuse(bomb, there, "'zeros' unpacks to over 250 times its size", ratio_counts_from=1_000_000)
    assert sum(path.stat().st_size for path in there.rglob("*")) < 12_000_000
    _unpack(bomb, _fresh(there))  # small enough to be a model of zeros


def test_padding_without_end_is_a_bomb_too(there):
    packed = gzip.compress(TAR + bytes(30_000_000))

    _refuse(packed, there, "unpacks to over 250 times its size", ratio_counts_from=1_000_000)


def test_a_name_of_gigabytes_is_refused_before_it_is_read(there):
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        header = _member("././@LongLink", kind, size=2**32).tobuf(tarfile.GNU_FORMAT)
        _refuse(gzip.compress(TAR[:1024] + header + bytes(5000)), there, "a header of 4,294,967,296 bytes")
        _empty(there)
        there.mkdir()


@pytest.mark.parametrize(
    "text",
    [
        b"x",
        b"9 path=ab\n",
        b"12 path=abcd",
        b"0 a=b\n",
        b"99 path=a\n",
        b"6 a=bc",
        b"5 a=b\n",
        b"path=x\n",
        b"7 path=\n\n",
    ],
)
def test_a_damaged_pax_header_is_refused(there, text):
    header = _member("x", tarfile.XHDTYPE, size=len(text)).tobuf(tarfile.USTAR_FORMAT)
    packed = gzip.compress(header + text.ljust(512, b"\0") + TAR)

    _refuse(packed, there, "a damaged pax header at its start")


def test_one_name_for_all_members_is_refused(there):
    text = b"9 path=x\n"
    header = _member("x", tarfile.XGLTYPE, size=len(text)).tobuf(tarfile.USTAR_FORMAT)

    _refuse(gzip.compress(header + text.ljust(512, b"\0") + TAR), there, "one name or size for all members")


def test_a_long_name_without_a_member_is_refused(there):
    header = _member("././@LongLink", tarfile.GNUTYPE_LONGNAME, size=3).tobuf(tarfile.GNU_FORMAT)

    _refuse(
        gzip.compress(header + b"abc".ljust(512, b"\0") + bytes(1024)), there, "a long name without a member"
    )


def test_an_error_of_the_stream_passes_through(there):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            raise ConnectionResetError("peer")

    with pytest.raises(ConnectionResetError):
        unpack(Broken(), there, Limits())


def test_a_full_disk_is_named(there, monkeypatch):
    class Full(io.FileIO):
        def write(self, data: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(archives.io, "FileIO", Full)

    with pytest.raises(ArchiveError, match=r"'model\.pt' does not fit: the disk is full"):
        _unpack(WHOLE, there)


def test_no_copy_of_the_archive_is_held(there):
    packed = gzip.compress(
        _member("w", size=40_000_000).tobuf() + os.urandom(4_000_000) * 10 + bytes(1024), 1
    )
    stream = io.BytesIO(packed)
    tracemalloc.start()
    try:
        unpack(stream, there, Limits())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 5_000_000


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.data())
def test_damage_of_any_kind_is_an_archive_error_or_harmless(tmp_path, data):
    damaged = bytearray(
        _tar("model.pt", LONG, _member("s", tarfile.SYMTYPE, linkname="/"), "x", format=tarfile.GNU_FORMAT)
    )
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(damaged) - 1))
        damaged[position : position + 1] = data.draw(st.binary(max_size=3))
    there = tmp_path / "there"
    there.mkdir()
    try:
        with pytest.raises(ArchiveError):
            _unpack(gzip.compress(bytes(damaged)), there)
        assert [path.name for path in tmp_path.iterdir()] == ["there"]
        assert not any(path.is_symlink() for path in there.rglob("*"))
    finally:
        _empty(there)


def test_the_unpacker_needs_nothing_of_what_packs():
    done = subprocess.run(
        [sys.executable, "-c", "import sys, infra.local.archives; print('deploy' in sys.modules)"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "False\n"
