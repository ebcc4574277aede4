"""What an image is built of: what the Dockerfile copies, the same bytes everywhere, no links, no secrets."""

from __future__ import annotations

import io
import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.image import context
from deploy.image.context import ContextError, File

DOCKERFILE = """\
FROM base AS builder
COPY constraints.txt inference/requirements.txt /build/
COPY inference/serving/requirements*.txt /build/serving/
FROM base
COPY --from=builder /opt /opt
COPY inference/serving /opt/serving
COPY ["infra/image/entry.sh", "/opt/"]
"""


@pytest.fixture
def kit(tmp_path: Path) -> Path:
    """A kit of a few files, some of which nothing copies."""
    place = tmp_path / "kit"
    for name, text in {
        "infra/image/Dockerfile": DOCKERFILE,
        "infra/image/README.md": "not copied",
        "infra/image/entry.sh": "#!/bin/sh\n",
        "inference/serving/__main__.py": "print('serving')\n",
        "inference/serving/requirements.txt": "orjson\n",
        "inference/serving/requirements-ray.txt": "ray\n",
        "inference/serving/__pycache__/x.pyc": "droppings",
        "inference/handler.py": "raise SystemExit",
        "constraints.txt": "orjson==3.13\n",
        ".git/config": "no",
    }.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    (place / "infra/image/entry.sh").chmod(0o755)
    return place


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A project."""
    place = tmp_path / "project"
    (place / "inference").mkdir(parents=True)
    (place / "inference/requirements.txt").write_text("numpy\n")
    (place / "inference/handler.py").write_text("class Handler: ...\n")
    return place


@pytest.fixture
def read(kit: Path, own: Path) -> Callable[[], context.Context]:
    return lambda: context.read(own, kit)


def test_what_is_copied_is_in_it_and_nothing_else(read: Callable[[], context.Context]) -> None:
    found = {file.name: file.content for file in read().files}
    assert set(found) == {
        "constraints.txt",
        "inference/requirements.txt",
        "inference/serving/__main__.py",
        "inference/serving/requirements-ray.txt",
        "inference/serving/requirements.txt",
        "infra/image/Dockerfile",
        "infra/image/entry.sh",
    }
    assert found["inference/requirements.txt"] == b"numpy\n"


def test_a_handler_changes_nothing(read: Callable[[], context.Context], own: Path) -> None:
    before = read()
    (own / "inference/handler.py").write_text("class Handler:\n    pass\n")
    assert read() == before


@pytest.mark.parametrize(
    "name", ["inference/serving/__main__.py", "infra/image/Dockerfile", "constraints.txt"]
)
def test_whatever_goes_in_changes_the_digest(
    read: Callable[[], context.Context], kit: Path, name: str
) -> None:
    before = read().digest
    (kit / name).write_text((kit / name).read_text() + "\n# more\n")
    assert read().digest != before


def test_what_may_be_executed_counts(read: Callable[[], context.Context], kit: Path) -> None:
    before = read().digest
    (kit / "infra/image/entry.sh").chmod(0o644)
    assert read().digest != before


def test_the_same_files_are_the_same_bytes(read: Callable[[], context.Context], kit: Path) -> None:
    before = read().zipped()
    for path in kit.rglob("*"):
        os.utime(path, (1, 1))
        if path.is_file() and path.suffix != ".sh":
            path.chmod(0o600)
    assert read().zipped() == before


def test_a_zip_keeps_what_may_be_executed(read: Callable[[], context.Context]) -> None:
    with zipfile.ZipFile(io.BytesIO(read().zipped([File("build-arguments", b"--x\n")]))) as archive:
        modes = {entry.filename: stat.S_IMODE(entry.external_attr >> 16) for entry in archive.infolist()}
        assert archive.read("build-arguments") == b"--x\n"
    assert modes["infra/image/entry.sh"] == 0o755
    assert modes["constraints.txt"] == 0o644


def test_it_is_written_as_it_is_zipped(read: Callable[[], context.Context], tmp_path: Path) -> None:
    read().write(tmp_path / "out")
    there = {
        str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()
    }
    assert there == {file.name for file in read().files}
    assert os.access(tmp_path / "out/infra/image/entry.sh", os.X_OK)


@pytest.mark.parametrize(
    "name", ["inference/serving/passwd.py", "inference/serving/requirements-x.txt", "infra/image/entry.sh"]
)
def test_a_link_is_refused_by_name(read: Callable[[], context.Context], kit: Path, name: str) -> None:
    (kit / name).unlink(missing_ok=True)
    (kit / name).symlink_to("/etc/passwd")
    with pytest.raises(ContextError, match=f"{name}: is a symbolic link: put a regular file"):
        read()


def test_a_linked_folder_is_refused(read: Callable[[], context.Context], kit: Path) -> None:
    (kit / "inference/serving/more").symlink_to("/etc")
    with pytest.raises(ContextError, match="serving/more: is a symbolic link"):
        read()


def test_a_linked_requirements_file_is_refused(read: Callable[[], context.Context], own: Path) -> None:
    (own / "inference/requirements.txt").unlink()
    (own / "inference/requirements.txt").symlink_to("/etc/hostname")
    with pytest.raises(ContextError, match="is a symbolic link"):
        read()


def test_a_pipe_is_refused_and_not_waited_for(read: Callable[[], context.Context], kit: Path) -> None:
    os.mkfifo(kit / "inference/serving/pipe")
    with pytest.raises(ContextError, match="serving/pipe: is no regular file"):
        read()


@pytest.mark.parametrize(
    ("name", "text", "what"),
    [
        ("inference/serving/.env", "A=1", "holds secrets, going by its name"),
        ("inference/serving/keys.py", "KEY = 'AKIA" + "Q" * 16 + "'", ":1: looks like an AWS access key id"),
    ],
)
def test_secrets_stay_here(
    read: Callable[[], context.Context], kit: Path, name: str, text: str, what: str
) -> None:
    (kit / name).write_text(text)
    with pytest.raises(ContextError, match=what):
        read()


def test_an_index_with_a_password_stays_here(read: Callable[[], context.Context], own: Path) -> None:
    (own / "inference/requirements.txt").write_text(
        "--index-url https://me:hunter22@index.example.com/\nnumpy\n"
    )
    with pytest.raises(ContextError, match=r"requirements\.txt:1: looks like a password in a URL"):
        read()


@pytest.mark.parametrize("line", ["-r other.txt", "-c pins.txt", "-e .", "./wheels/x.whl", "file:///x.whl"])
def test_requirements_that_name_files_are_refused(
    read: Callable[[], context.Context], own: Path, line: str
) -> None:
    (own / "inference/requirements.txt").write_text(f"numpy\n{line}\n")
    with pytest.raises(ContextError, match=r"requirements\.txt:2: names another file"):
        read()


def test_a_project_may_require_nothing(read: Callable[[], context.Context], own: Path) -> None:
    (own / "inference/requirements.txt").unlink()
    assert read().requirements == ""


@pytest.mark.parametrize("path", ["../x", "/etc/passwd", "a*/b", "$HOME", "a b"])
def test_a_dockerfile_reaches_no_further(read: Callable[[], context.Context], kit: Path, path: str) -> None:
    (kit / "infra/image/Dockerfile").write_text(f'FROM base\nCOPY ["{path}", "/x"]\n')
    with pytest.raises(ContextError, match=r"Dockerfile: copies .*expected a path below the repository"):
        read()
