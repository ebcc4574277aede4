"""What goes into an archive goes in under one sure name; what must not go in stops the build and is named."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from deploy.package.members import MAX_DEPTH, Member, PackageError, collect, folders, shown

HANDLER = "class Handler:\n    def load(self, d): ...\n    def predict(self, x): ...\n"


@pytest.fixture
def model(tmp_path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.pt").write_bytes(b"weights")
    return folder


@pytest.fixture
def code(tmp_path) -> Path:
    folder = tmp_path / "inference"
    folder.mkdir()
    (folder / "handler.py").write_text(HANDLER)
    return folder


def _put(folder: Path, name: str, text: str = "x") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_weights_lie_at_the_root_and_code_under_code_in_byte_order(model, code):
    for name in ("requirements.txt", "features/time.py", "Zones.py"):
        _put(code, name)
    for name in ("vocab/words.txt", "épices.txt", "code.json"):
        _put(model, name)

    assert [member.name for member in collect(model, code)] == [
        "code.json",
        "code/Zones.py",
        "code/features/time.py",
        "code/handler.py",
        "code/requirements.txt",
        "model.pt",
        "vocab/words.txt",
        "épices.txt",
    ]


def test_a_member_says_where_it_lies_and_how_large_it_is(model, code):
    weights = collect(model, code)[-1]

    assert weights == Member("model.pt", os.fsencode(model / "model.pt"), 7)


def test_the_kit_and_droppings_stay_out(model, code):
    dropped = (
        "serving/server.py __pycache__/handler.cpython-311.pyc old.pyc handler.py~ .handler.py.swp .DS_Store"
    )
    for name in [*dropped.split(), ".ipynb_checkpoints/a.ipynb", ".vscode/settings.json", "#handler.py#"]:
        _put(code, name)
    (code / "empty").mkdir()
    _put(model, ".DS_Store")

    assert [member.name for member in collect(model, code)] == ["code/handler.py", "model.pt"]


def test_only_the_serving_folder_at_the_top_is_the_kits(model, code):
    _put(code, "rules/serving/table.py")
    _put(model, "serving/weights.bin")

    names = [member.name for member in collect(model, code)]

    assert names == ["code/handler.py", "code/rules/serving/table.py", "model.pt", "serving/weights.bin"]


def test_the_folders_of_members_are_each_named_once():
    members = [Member(name, b"", 0) for name in ("a/b/c.txt", "a/d.txt", "e.txt")]

    assert folders(members) == {"a", "a/b"}


def test_a_missing_model_is_refused_with_what_to_run(tmp_path, code):
    with pytest.raises(PackageError, match="model: is not there: train a model first"):
        collect(tmp_path / "model", code)


def test_an_empty_model_is_refused(tmp_path, code):
    (tmp_path / "model" / "checkpoints").mkdir(parents=True)

    with pytest.raises(PackageError, match="model: holds no files: train a model first"):
        collect(tmp_path / "model", code)


def test_a_model_that_is_a_file_is_refused(model, code):
    with pytest.raises(PackageError, match=r"model\.pt: is not a folder"):
        collect(model / "model.pt", code)


def test_missing_code_is_refused(model, tmp_path):
    with pytest.raises(PackageError, match="inference: is not there: create it, with handler.py"):
        collect(model, tmp_path / "inference")


@pytest.mark.parametrize("target", ["/etc/passwd", "model.pt", "nowhere"])
def test_a_link_to_a_file_is_refused_wherever_it_points(model, code, target):
    (model / "latest.pt").symlink_to(target)

    with pytest.raises(PackageError, match=r"latest\.pt: is a symbolic link: put a regular file"):
        collect(model, code)


def test_a_link_to_a_folder_is_refused(model, code, tmp_path):
    (code / "shared").symlink_to(tmp_path, target_is_directory=True)

    with pytest.raises(PackageError, match="inference/shared: is a symbolic link"):
        collect(model, code)


def test_a_hard_link_is_a_file_like_another(model, code):
    os.link(model / "model.pt", model / "same.pt")

    assert [member.name for member in collect(model, code)][-1] == "same.pt"


def test_a_named_pipe_is_refused_and_not_waited_for(model, code):
    os.mkfifo(code / "samples.jsonl")

    with pytest.raises(PackageError, match=r"samples\.jsonl: is a named pipe"):
        collect(model, code)


def test_a_socket_is_refused(model, code, monkeypatch):
    monkeypatch.chdir(model)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("s")

        with pytest.raises(PackageError, match="model/s: is a socket"):
            collect(model, code)


@pytest.mark.parametrize("name", ["code", "code/handler.py", "code/other.py"])
def test_a_model_file_may_not_take_the_place_of_the_code(model, code, name):
    _put(model, name)

    with pytest.raises(PackageError, match=rf"model/{name}: takes the place of code/.*: rename it"):
        collect(model, code)


def test_a_code_file_may_not_take_the_place_of_the_manifest(model, code):
    _put(code, "manifest.json")

    with pytest.raises(PackageError, match=r"inference/manifest\.json: takes the place of the kit's"):
        collect(model, code)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (b"new\nline", r"new\\nline: its name has control characters"),
        (b"red\x1b[31m", r"red\\x1b\[31m: its name has control characters"),
        ("next\u2028line".encode(), "its name has control characters"),
        (b"caf\xe9", r"caf\\xe9: its name is not UTF-8"),
        (b"..\\up", "has a backslash or a drive letter"),
        (b"C:autoexec", "has a backslash or a drive letter"),
    ],
)
def test_a_name_that_others_read_otherwise_is_refused_and_shown_harmlessly(model, code, name, said):
    (model / os.fsdecode(name)).touch()

    with pytest.raises(PackageError, match=said) as refused:
        collect(model, code)

    assert str(refused.value).isprintable()


def test_a_path_too_long_or_too_deep_is_refused(model, code):
    _put(model, "/".join(["d"] * MAX_DEPTH) + "/deep.txt")
    assert collect(model, code)

    _put(model, "/".join(["d"] * (MAX_DEPTH + 1)) + "/deeper.txt")
    with pytest.raises(PackageError, match="lies more than 32 folders deep"):
        collect(model, code)


def test_a_path_over_1024_bytes_is_refused(model, code):
    _put(model, "/".join(["long" * 50] * 6))

    with pytest.raises(PackageError, match="its path than 1024: rename it"):
        collect(model, code)


@pytest.mark.parametrize("place", ["model", "inference"])
@pytest.mark.parametrize(
    "name", [".env", "deep/down/.netrc", ".git/HEAD", "key.pem", ".aws/config", ".docker/config.json"]
)
def test_a_file_known_for_secrets_stops_the_build_in_both_folders(model, code, tmp_path, place, name):
    _put(tmp_path / place, name)

    with pytest.raises(PackageError, match="holds secrets, going by its name: keep it out") as refused:
        collect(model, code)

    assert any(
        part in refused.value.place for part in (".env", ".netrc", ".git", "key.pem", ".aws", ".docker")
    )


def test_a_place_that_is_not_printable_is_escaped():
    assert shown(b"caf\xc3\xa9/\xff\n") == "café/\\xff\\n"
