"""A build's source as it came from a bucket: read, and held against its Dockerfile."""

from __future__ import annotations

import io
import zipfile

import pytest

from infra.local.imagebuilds import contexts, manifests
from infra.local.imagebuilds.contexts import BuildFailed, Command

DOCKERFILE = b"""\
FROM base AS builder
ARG DEVICE=cpu
COPY constraints.txt \\
     inference/requirements*.txt /build/
FROM base
COPY --from=builder /opt /opt
COPY ["inference/serving", "/opt/"]
"""
FILES = {
    "Dockerfile": DOCKERFILE,
    "constraints.txt": b"",
    "inference/requirements.txt": b"numpy==2.4.6\n# a comment\n\n--index-url https://x.example\n"
    b"torch ; python_version > '3.9'\n",
    "inference/serving/__main__.py": b"",
}


def zipped(files: dict[str, bytes]) -> io.BytesIO:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as writer:
        for name, content in files.items():
            writer.writestr(name, content)
    archive.seek(0)
    return archive


def without(name: str) -> dict[str, bytes]:
    return {path: content for path, content in FILES.items() if path != name}


def test_docker_s_words_are_read_in_either_form() -> None:
    words = ["--file", "a/Dockerfile", "--platform=linux/arm64", "--build-arg=A=1=2", "-t", "x:1", "."]
    assert contexts.command(words) == Command("a/Dockerfile", "linux/arm64", {"A": "1=2"}, ("x:1",))


@pytest.mark.parametrize("word", ["--secret=id=x", "--network=host", "--output=/", "-v", "x"])
def test_another_option_ends_the_build(word: str) -> None:
    with pytest.raises(BuildFailed, match="unknown flag"):
        contexts.command([word, "."])


def test_a_whole_context_builds() -> None:
    printed = list(contexts.steps(contexts.unzipped(zipped(FILES)), Command(arguments={"DEVICE": "cpu"})))
    assert printed[0] == "#1 [1/6] FROM base AS builder"
    assert printed[-2:] == ["Collecting numpy", "Collecting torch"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("Dockerfile", "open Dockerfile: no such file"),
        ("constraints.txt", '"/constraints.txt": not found'),
        ("inference/requirements.txt", r'"/inference/requirements\*.txt": not found'),
        ("inference/serving/__main__.py", '"/inference/serving": not found'),
    ],
)
def test_what_is_copied_must_be_there(name: str, said: str) -> None:
    with pytest.raises(BuildFailed, match=said):
        list(contexts.steps(without(name), Command()))


def test_an_argument_without_an_arg_ends_the_build() -> None:
    with pytest.raises(BuildFailed, match=r"build-args were not consumed: \['TORCH'\]"):
        list(contexts.steps(FILES, Command(arguments={"TORCH": "x"})))


@pytest.mark.parametrize("line", ["not a requirement", "numpy=1", "torch==", "import os"])
def test_requirements_must_be_ones(line: str) -> None:
    files = {**FILES, "inference/requirements.txt": f"numpy\n{line}\n".encode()}
    with pytest.raises(BuildFailed, match=r"Invalid requirement: .* \(from line 2\)"):
        list(contexts.steps(files, Command()))


@pytest.mark.parametrize("name", ["../x", "/etc/x", "a/../../x"])
def test_a_source_stays_in_its_folder(name: str) -> None:
    with pytest.raises(BuildFailed, match="leads out of its folder"):
        contexts.unzipped(zipped({name: b""}))


def test_a_source_must_be_a_zip_archive() -> None:
    with pytest.raises(BuildFailed, match="no zip archive"):
        contexts.unzipped(io.BytesIO(b"tar?"))


def test_a_bomb_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contexts, "MAX_BYTES", 100_000)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as writer:
        writer.writestr("zeros", bytes(200_000))
    archive.seek(0)
    with pytest.raises(BuildFailed, match="larger than"):
        contexts.unzipped(archive)


def test_an_image_s_digest_follows_from_what_went_in() -> None:
    made = manifests.image(FILES, Command(arguments={"DEVICE": "cpu"}))
    assert made == manifests.image(dict(reversed(FILES.items())), Command(arguments={"DEVICE": "cpu"}))
    assert made.digest == manifests.digest(made.manifest.encode())
    others = [
        manifests.image(without("constraints.txt"), Command(arguments={"DEVICE": "cpu"})),
        manifests.image({**FILES, "constraints.txt": b"x"}, Command(arguments={"DEVICE": "cpu"})),
        manifests.image(FILES, Command(arguments={"DEVICE": "cu126"})),
        manifests.image(FILES, Command(platform="linux/arm64", arguments={"DEVICE": "cpu"})),
    ]
    assert len({made.digest, *(other.digest for other in others)}) == 5
