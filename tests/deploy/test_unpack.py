"""A training job's model.tar.gz: files and folders are unpacked, and everything else is refused by name."""

import gzip
import io
import os
import random
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.unpack import Limits, UnpackError, unpack

Member = tuple[tarfile.TarInfo, bytes]


def file(name: str, content: bytes = b"x") -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    return info, content


def other(name: str, kind: bytes, target: str = "") -> Member:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info, b""


def tar(*members: Member, form: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for info, content in members:
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


@pytest.fixture
def unpacked(tmp_path: Path) -> Callable[..., dict[str, bytes]]:
    """Unpacks these bytes as model.tar.gz; the files by name."""

    def do(packed: bytes, limits: Limits | None = None) -> dict[str, bytes]:
        archive, into = tmp_path / "model.tar.gz", tmp_path / "into"
        archive.write_bytes(packed)
        into.mkdir()
        try:
            unpack(archive, into, limits)
        finally:
            beside = {path.name for path in tmp_path.iterdir()}
            assert beside == {"model.tar.gz", "into"}, "something was written beside the folder"
        return {p.relative_to(into).as_posix(): p.read_bytes() for p in into.rglob("*") if p.is_file()}

    return do


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_files_and_folders_come_out_as_they_went_in(unpacked, form):
    long = "/".join(["folder-of-a-long-name"] * 6)
    content = os.urandom(3_000_000)
    packed = tar(
        other("./", tarfile.DIRTYPE),
        other("deep", tarfile.DIRTYPE),
        file("./deep/weights.bin", content),
        file(f"{long}/a"),
        file("empty", b""),
        form=form,
    )
    assert unpacked(gzip.compress(packed)) == {
        "deep/weights.bin": content,
        f"{long}/a": b"x",
        "empty": b"",
    }


def test_what_the_tar_command_makes_is_unpacked(unpacked, tmp_path_factory):
    place = tmp_path_factory.mktemp("packed")
    (place / "deep").mkdir()
    (place / "deep/weights").write_bytes(b"7")
    packed = subprocess.run(["tar", "-C", place, "-cz", "."], capture_output=True, check=True).stdout
    assert unpacked(packed) == {"deep/weights": b"7"}


def test_modes_and_owners_are_not_taken(unpacked, tmp_path):
    info, content = file("run")
    info.mode, info.uid = 0o4777, 12345
    unpacked(gzip.compress(tar((info, content))))
    seen = (tmp_path / "into/run").stat()
    assert seen.st_mode & 0o7111 == 0
    assert seen.st_uid == os.getuid()


REFUSED = {
    "a symbolic link": ([other("a", tarfile.SYMTYPE, "/etc/passwd")], "'a' is a link"),
    "a hard link": ([file("b"), other("a", tarfile.LNKTYPE, "b")], "'a' is a link"),
    "a device": ([other("a", tarfile.CHRTYPE)], "'a' is a device, a pipe or of an unknown kind"),
    "a pipe": ([other("a", tarfile.FIFOTYPE)], "'a' is a device, a pipe or of an unknown kind"),
    "a kind of its own": ([other("a", b"Z")], "'a' is a device, a pipe or of an unknown kind"),
    "a sparse file": ([other("a", tarfile.GNUTYPE_SPARSE)], "'a' is a sparse file"),
    "a way out": ([file("a/../../out")], "'a/../../out' leads out of its folder by '..'"),
    "an absolute path": ([file("/tmp/out")], "'/tmp/out' is an absolute path, or has a backslash"),
    "a drive": ([file("C:out")], "'C:out' is an absolute path, or has a backslash or a drive letter in it"),
    "a backslash": ([file("a\\b")], "'a\\\\b' is an absolute path, or has a backslash"),
    "a line feed": ([file("a\nb")], "'a\\nb' has control characters in its name"),
    "a name twice": ([file("a"), file("./a")], "'./a' is there twice, or is a file and a folder"),
    "a file as a folder": ([file("a"), file("a/b")], "'a' is there twice, or is a file and a folder"),
    "a folder as a file": ([file("a/b"), file("a")], "'a' is there twice, or is a file and a folder"),
    "no name": ([file("./")], "holds a file without a name"),
    "a long name": ([file("a" * 256)], "is over 1024 bytes long (255 for one name) or 32 folders deep"),
    "a deep place": (
        [file("a/" * 33 + "b")],
        "is over 1024 bytes long (255 for one name) or 32 folders deep",
    ),
    "nothing": ([], "holds no files"),
    "folders alone": ([other("a", tarfile.DIRTYPE)], "holds no files"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_plain_file_or_folder_is_refused(unpacked, what):
    members, message = REFUSED[what]
    with pytest.raises(UnpackError) as refused:
        unpacked(gzip.compress(tar(*members)))
    assert str(refused.value).startswith("model.tar.gz: ")
    assert message in str(refused.value)


def test_an_archive_over_a_limit_is_refused_by_its_headers(unpacked):
    with pytest.raises(UnpackError, match="'b' is over the 1,500 bytes that a model may have"):
        unpacked(gzip.compress(tar(file("a", bytes(1000)), file("b", bytes(1000)))), Limits(max_bytes=1500))


def test_an_archive_of_too_many_members_is_refused(unpacked):
    with pytest.raises(UnpackError, match="'m3' is over the 3 members that a model may have"):
        unpacked(gzip.compress(tar(*(file(f"m{n}") for n in range(9)))), Limits(max_members=3))


def test_a_header_that_would_fill_the_memory_is_refused(unpacked):
    info, content = file("a")
    info.pax_headers = {"comment": "x" * 200_000}
    with pytest.raises(UnpackError, match="has a header of 200,0.. bytes"):
        unpacked(gzip.compress(tar((info, content))))


def test_a_member_larger_than_the_disk_is_refused_before_it_is_written(unpacked):
    info = tarfile.TarInfo("a")
    info.size = 2**45
    with pytest.raises(
        UnpackError, match="'a' does not fit: it has 35,184,372,088,832 bytes, the disk fewer"
    ):
        unpacked(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)), Limits(max_bytes=2**50))


def test_an_archive_that_is_cut_off_anywhere_is_refused(tmp_path):
    packed = gzip.compress(tar(file("a", os.urandom(3000)), file("deep/b", os.urandom(3000))))
    archive = tmp_path / "model.tar.gz"
    for length in range(0, len(packed), 97):
        archive.write_bytes(packed[:length])
        (into := tmp_path / f"into{length}").mkdir()
        with pytest.raises(UnpackError):
            unpack(archive, into)


def test_a_tar_that_is_cut_off_or_damaged_inside_is_refused(tmp_path):
    plain = tar(file("a", os.urandom(3000)), file("deep/b", os.urandom(3000)))
    second = plain.index(b"deep/b")
    end = len(plain.rstrip(b"\0")) // 512 * 512 + 512
    broken = [plain[:length] for length in range(0, end + 1, 256)]
    broken.append(plain[:second] + b"X" + plain[second + 1 :])
    broken.append(plain + b"more")
    archive = tmp_path / "model.tar.gz"
    for number, data in enumerate(broken):
        archive.write_bytes(gzip.compress(data))
        (into := tmp_path / f"into{number}").mkdir()
        with pytest.raises(UnpackError):
            unpack(archive, into)


def test_a_flipped_byte_never_gives_another_model(tmp_path):
    content = os.urandom(3000)
    packed = gzip.compress(tar(file("a", content)))
    archive, dice = tmp_path / "model.tar.gz", random.Random(1)
    for number in range(100):
        at = dice.randrange(10, len(packed))  # gzip's own header tells a time and a system
        archive.write_bytes(packed[:at] + bytes([packed[at] ^ 1 << dice.randrange(8)]) + packed[at + 1 :])
        (into := tmp_path / f"into{number}").mkdir()
        with pytest.raises(UnpackError):
            unpack(archive, into)
