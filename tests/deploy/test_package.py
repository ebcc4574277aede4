"""An archive depends on its files' content alone, any reader reads it, and it is whole or not there."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.package import Archive, PackageError, build, tarball
from infra.local import archives

ROOT = Path(__file__).parents[2]
HANDLER = b"class Handler:\n    def load(self, d): ...\n    def predict(self, x): ...\n"
RANDOM = random.Random(0).randbytes(9_000_000)
FILES = {
    "model/model.pt": RANDOM[:600_000],
    "model/vocab.txt": b"delayed\n" * 60_000,
    "model/empty": b"",
    "model/" + "long" * 40 + "/été.json": b"{}",
    "inference/handler.py": HANDLER,
    "inference/requirements.txt": b"numpy\n",
    "inference/samples.jsonl": b'{"carrier": "UA"}\n',
}


def _lay(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return root


def _build(root: Path) -> Archive:
    return build(root / "model", root / "inference", root / "model.tar.gz")


def _manifest(path: Path) -> bytes:
    with tarfile.open(path) as archive:
        return archive.extractfile("code/manifest.json").read()


@pytest.fixture
def project(tmp_path) -> Path:
    return _lay(tmp_path, FILES)


def test_python_reads_every_file_back(project):
    archive = _build(project)

    with tarfile.open(archive.path) as tar:
        files = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
        odd = [member.name for member in tar if not (member.isfile() or member.isdir())]
    manifest = files.pop("code/manifest.json")
    renamed = {name.removeprefix("model/").replace("inference/", "code/"): name for name in FILES}
    assert files == {name: FILES[source] for name, source in renamed.items()}
    assert odd == []
    assert archive.members == len(FILES) + 1
    assert archive.size == archive.path.stat().st_size
    assert archive.digest == hashlib.sha256(manifest).hexdigest()


def test_the_manifest_comes_last_is_canonical_and_lists_all_but_itself(project):
    archive = _build(project)

    text = _manifest(archive.path)
    with tarfile.open(archive.path) as tar:
        names = tar.getnames()
    listed = json.loads(text)
    assert names[-1] == "code/manifest.json"
    assert names[:-1] == sorted(names[:-1], key=str.encode)
    assert text == json.dumps(listed, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert listed["format"] == 1
    assert listed["files"].keys() | {"code/manifest.json"} | {"code", "long" * 40} == set(names)
    assert listed["files"]["model.pt"] == {
        "sha256": hashlib.sha256(FILES["model/model.pt"]).hexdigest(),
        "size": 600_000,
    }


def test_members_carry_nothing_of_the_machine(project):
    with tarfile.open(_build(project).path) as tar:
        facts = {(m.isdir(), m.mode, m.uid, m.gid, m.uname, m.gname, m.mtime) for m in tar}

    assert facts == {(True, 0o755, 0, 0, "", "", 0), (False, 0o644, 0, 0, "", "", 0)}


def test_gnu_tar_and_gzip_read_it(project):
    path = _build(project).path

    subprocess.run(["gzip", "-t", str(path)], check=True, capture_output=True)
    listed = subprocess.run(
        ["tar", "--quoting-style=literal", "-tzf", str(path)], check=True, capture_output=True
    )
    assert listed.stderr == b""
    assert listed.stdout.decode().splitlines()[-1] == "code/manifest.json"
    assert "long" * 40 + "/été.json" in listed.stdout.decode().splitlines()


def test_what_compresses_is_small_and_weights_keep_their_size(project):
    assert 600_000 < _build(project).size < 605_000  # 480 kB of text are gone, 600 kB of noise are not


BUILD = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from deploy.package import build
print(build(Path(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4])).digest)
"""


def _build_elsewhere(root: Path, umask: str, **environment: str) -> tuple[str, bytes]:
    names = reversed(FILES) if umask == "077" else FILES
    previous = os.umask(int(umask, 8))
    try:
        _lay(root, {name: FILES[name] for name in names})
    finally:
        os.umask(previous)
    for moment, name in enumerate(FILES):
        os.utime(root / name, (moment * 1e6, len(environment) * 1e8))
    relative = umask == "077"
    where = ["model", "inference", "out.tar.gz"]
    paths = where if relative else [str(root / name) for name in where]
    done = subprocess.run(
        [sys.executable, "-c", BUILD, umask, *paths],
        cwd=root if relative else "/",
        env={"PYTHONPATH": str(ROOT), **environment},
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip(), (root / "out.tar.gz").read_bytes()


def test_two_processes_on_unlike_machines_make_the_same_bytes(tmp_path):
    one = _build_elsewhere(tmp_path / "one", "022", LANG="C.UTF-8", PYTHONHASHSEED="1", TZ="Asia/Tokyo")
    two = _build_elsewhere(
        tmp_path / "another place", "077", LC_ALL="C", PYTHONUTF8="0", PYTHONCOERCECLOCALE="0", TZ="UTC"
    )

    assert one == two


@pytest.mark.parametrize("name", ["model/model.pt", "inference/handler.py", "inference/requirements.txt"])
def test_the_digest_changes_with_any_file(project, name):
    before = _build(project)
    (project / name).write_bytes(FILES[name] + b"\n")

    assert _build(project).digest != before.digest


def test_a_renamed_file_is_another_model(project):
    before = _build(project)
    (project / "model/model.pt").rename(project / "model/model.bin")

    assert _build(project).digest != before.digest


def test_a_file_of_several_chunks_comes_back_whole(tmp_path):
    weights = RANDOM + bytes(5_000_000) + RANDOM[:77]
    project = _lay(tmp_path, FILES | {"model/model.pt": weights})

    archive = _build(project)

    with tarfile.open(archive.path) as tar:
        assert tar.extractfile("model.pt").read() == weights
    listed = json.loads(_manifest(archive.path))["files"]["model.pt"]
    assert listed == {"sha256": hashlib.sha256(weights).hexdigest(), "size": len(weights)}
    assert len(RANDOM) < archive.size < len(RANDOM) + 50_000


def test_progress_counts_the_bytes_of_files(project):
    seen: list[int] = []

    build(project / "model", project / "inference", project / "model.tar.gz", seen.append)

    assert seen == sorted(seen)
    assert seen[-1] == sum(map(len, FILES.values()))


def test_the_output_folder_is_made(project):
    out = project / "build" / "now" / "model.tar.gz"

    assert build(project / "model", project / "inference", out).path == out
    assert [path.name for path in out.parent.iterdir()] == ["model.tar.gz"]


NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp"), exclude_characters="/\\:~#."),
    min_size=1,
    max_size=60,
)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join).filter(lambda path: path.split("/")[0] != "code"),
    st.one_of(st.binary(max_size=2000), st.integers(0, 300_000).map(lambda size: RANDOM[:size])),
    min_size=1,
    max_size=6,
).filter(lambda tree: not any(other.startswith(path + "/") for path in tree for other in tree))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(TREES)
def test_any_tree_of_files_comes_back_equal_and_as_its_manifest_says(tmp_path, tree):
    root = _lay(tmp_path, {f"model/{name}": content for name, content in tree.items()})
    _lay(root, {"inference/handler.py": HANDLER})
    (root / "there").mkdir()
    try:
        archive = _build(root)
        with archive.path.open("rb") as stream:
            archives.unpack(stream, root / "there", archives.Limits())
        text = (root / "there/code/manifest.json").read_bytes()
        assert {name: (root / "there" / name).read_bytes() for name in tree} == tree
        assert hashlib.sha256(text).hexdigest() == archive.digest
        assert json.loads(text)["files"] == {
            name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
            for name, content in (tree | {"code/handler.py": HANDLER}).items()
        }
    finally:
        for name in ("model", "inference", "there"):
            shutil.rmtree(root / name)


def _refused(project: Path, said: str) -> PackageError:
    """Build, expect a refusal, and see that nothing was left and nothing lost."""
    out = project / "model.tar.gz"
    out.write_bytes(b"the old one")
    there = set(project.iterdir())
    with pytest.raises(PackageError, match=said) as refused:
        _build(project)
    assert out.read_bytes() == b"the old one"
    assert set(project.iterdir()) == there
    return refused.value


@pytest.mark.parametrize("name", ["inference/settings.py", "model/readme.md"])
def test_a_secret_in_a_text_stops_the_build_at_its_line_unprinted(project, name):
    secret = "gh" + "p_" + "a1B2" * 9
    (project / name).write_text(f"import os\n\ntoken = '{secret}'\n")

    error = _refused(project, rf"{name}:3: looks like a GitHub token: take it out")

    assert secret not in str(error)


def test_a_secret_in_a_large_or_binary_file_is_beyond_the_check(project):
    secret = ("gh" + "p_" + "a1B2" * 9).encode()
    (project / "model/large.txt").write_bytes(secret + b"\n" + b"x" * tarball.CHUNK)
    (project / "model/binary.bin").write_bytes(secret + b"\0")

    assert _build(project).members == len(FILES) + 3


def test_a_text_just_small_enough_is_checked_to_its_end(project):
    secret = ("gh" + "p_" + "a1B2" * 9).encode()
    (project / "model/large.txt").write_bytes(b" " * (tarball.CHUNK - len(secret)) + secret)

    _refused(project, r"large\.txt:1: looks like a GitHub token")


def test_a_secret_by_name_stops_the_build(project):
    (project / "inference/.env").write_text("A=1")

    _refused(project, r"inference/\.env: holds secrets, going by its name")


def test_a_broken_handler_stops_the_build(project):
    (project / "inference/handler.py").write_text("def load(:\n")

    _refused(project, r"inference/handler\.py:1: ")


def test_a_missing_handler_stops_the_build(project):
    (project / "inference/handler.py").unlink()

    _refused(project, r"inference/handler\.py: is not there: write a class Handler")


def test_a_bad_sample_stops_the_build(project):
    (project / "inference/samples.jsonl").write_text("{}\n[NaN]\n")

    _refused(project, r"samples\.jsonl:2: is not JSON \(NaN")


def test_a_place_that_cannot_be_looked_at_is_named(project):
    with pytest.raises(PackageError, match=r"xxx: File name too long: make it readable"):
        build(project / ("x" * 300), project / "inference", project / "model.tar.gz")


def test_an_archive_inside_what_it_packages_is_refused(project):
    with pytest.raises(PackageError, match=r"model\.tar\.gz: lies inside .*model: write the archive beside"):
        build(project / "model", project / "inference", project / "model/../model/model.tar.gz")


def test_an_output_that_cannot_be_written_is_named(project):
    (project / "plain").touch()
    with pytest.raises(PackageError, match=r"plain/model\.tar\.gz: .*: write the archive to another"):
        build(project / "model", project / "inference", project / "plain/model.tar.gz")


@pytest.mark.parametrize("change", [b"more", None])
def test_a_file_that_changes_while_it_is_read_is_an_error(project, change):
    weights = project / "model/model.pt"

    def meddle(done: int) -> None:
        weights.write_bytes(FILES["model/model.pt"] + change) if change else os.truncate(weights, 100)

    weights.write_bytes(RANDOM)
    with pytest.raises(PackageError, match=r"model\.pt: changed while it was packaged: let it be finished"):
        build(project / "model", project / "inference", project / "model.tar.gz", meddle)
    assert not (project / "model.tar.gz").exists()


def test_a_file_that_became_a_pipe_is_not_waited_for(project):
    member = tarball.Member("model.pt", os.fsencode(project / "pipe"), 7)
    os.mkfifo(project / "pipe")

    with (
        tarball.TarballWriter(io.BytesIO()) as writer,
        pytest.raises(PackageError, match="pipe: changed while"),
    ):
        writer.add_file(member)


def test_a_file_that_became_a_link_is_not_followed(project):
    member = tarball.Member("model.pt", os.fsencode(project / "link"), 7)
    (project / "link").symlink_to("/etc/passwd")

    with (
        tarball.TarballWriter(io.BytesIO()) as writer,
        pytest.raises(PackageError, match="link: Too many lev"),
    ):
        writer.add_file(member)


def test_an_interrupt_leaves_the_old_archive_and_nothing_else(project):
    out = project / "model.tar.gz"
    out.write_bytes(b"the old one")
    there = set(project.iterdir())

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(project / "model", project / "inference", out, interrupt)
    assert out.read_bytes() == b"the old one"
    assert set(project.iterdir()) == there


class _FullDisk(io.FileIO):
    def write(self, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_names_the_folder_what_is_needed_and_what_is_free(project, monkeypatch):
    plainly = Path.open

    def opened(path: Path, mode: str = "r", *args: object, **named: object) -> object:
        return (
            io.BufferedWriter(_FullDisk(path, mode)) if mode == "xb" else plainly(path, mode, *args, **named)
        )

    monkeypatch.setattr(Path, "open", opened)
    needed = sum(map(len, FILES.values()))

    with pytest.raises(PackageError, match=rf"may need {needed:,} bytes, and [\d,]+ are free") as refused:
        _build(project)

    assert refused.value.place == str(project)
    assert {path.name for path in project.iterdir()} == {"model", "inference"}


ON_A_SMALL_DISK = """
mount -t tmpfs -o size=300k none "$0/small" || exit 77
"$1" -c "$2" 022 "$0/model" "$0/inference" "$0/small/model.tar.gz"
echo "status $?"; ls -A "$0/small" | wc -l
"""


def test_a_disk_that_is_really_full_leaves_nothing(project):
    (project / "small").mkdir()
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", ON_A_SMALL_DISK, str(project), sys.executable, BUILD],
        env={"PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
    )
    if "status" not in done.stdout:
        pytest.skip("no file system can be mounted here without more rights")

    assert "PackageError" in done.stderr
    assert "small: the disk is full" in done.stderr
    assert done.stdout.split() == ["status", "1", "0"]


MEASURED = """
import sys
from pathlib import Path
from deploy.package import build
from infra.local import archives
def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1])
root = Path(sys.argv[1])
start = peak()
archive = build(root / "model", root / "inference", root / "model.tar.gz")
packed = peak()
with archive.path.open("rb") as stream:
    archives.unpack(stream, root / "there", archives.Limits())
print(packed - start, peak() - packed, archive.size)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_memory_stays_flat_for_an_archive_of_200_mb(project):
    with (project / "model/model.pt").open("wb") as weights:
        for _ in range(200_000_000 // len(RANDOM) + 1):
            weights.write(RANDOM)
    (project / "there").mkdir()

    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(project)],
        env={"PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
    )

    packing_kb, unpacking_kb, size = map(int, done.stdout.split())
    assert size > 200_000_000
    assert packing_kb < 24_000
    assert unpacking_kb < 12_000


def test_a_flipped_byte_anywhere_is_an_error_or_changes_nothing(project):
    packed = _build(project).path.read_bytes()
    whole = gzip.decompress(packed)
    step = len(packed) // 150
    refused = 0
    for position in [*range(40), *range(40, len(packed), step), *range(len(packed) - 30, len(packed))]:
        there = project / "there"
        there.mkdir()
        flipped = bytearray(packed)
        flipped[position] ^= 0x20
        try:
            archives.unpack(io.BytesIO(flipped), there, archives.Limits())
        except archives.ArchiveError:
            refused += 1
        else:  # the header's time, level and system, or bits that only fill up to the next byte
            assert gzip.decompress(flipped) == whole
        shutil.rmtree(there)
    assert refused > 200
