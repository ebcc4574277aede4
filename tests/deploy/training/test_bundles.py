"""What travels to a training job, and what never leaves this machine."""

import os
from pathlib import Path

import pytest

from deploy.package.members import PackageError
from deploy.training import bundles


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a script, what stands beside it, and two folders of data; and the kit's launchers."""
    (tmp_path / "kit").mkdir()
    for name in ("launch.py", "launch_vertex.py"):
        (tmp_path / "kit" / name).write_text("# the kit's\n")
    for name, text in {
        "training/train.py": "print(1)\n",
        "training/requirements.txt": "",
        "training/parts/model.py": "",
        "training/serving/a.py": "",
        "training/launch.py": "# an older one\n",
        "data/train/a.csv": "1\n",
        "data/test/deep/b.csv": "22\n",
        "data/.hidden/c.csv": "3\n",
        "data/notes.txt": "",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def code(project: Path) -> bundles.Bundle:
    return bundles.code(project / "training", sorted((project / "kit").iterdir()), lambda size: None)


def data(project: Path, **configured: str) -> list[bundles.Bundle]:
    return bundles.channels(bundles.Data(project, configured, "s3"), lambda size: None)


def test_the_script_travels_with_what_lies_beside_it_and_the_kit_s_launchers(project):
    bundle = code(project)
    assert bundle.channel == "code"
    places = {file.name: file.path for file in bundle.files}
    assert sorted(places) == [
        "launch.py",
        "launch_vertex.py",
        "parts/model.py",
        "requirements.txt",
        "serving/a.py",
        "train.py",
    ]
    assert places["launch.py"] == project / "kit/launch.py"
    assert places["launch_vertex.py"] == project / "kit/launch_vertex.py"


def test_droppings_stay_here(project):
    before = code(project)
    for name in ("__pycache__/train.cpython-311.pyc", "train.py~", ".DS_Store", ".ipynb_checkpoints/x.ipynb"):
        (project / "training" / name).parent.mkdir(exist_ok=True)
        (project / "training" / name).write_text("x")
    assert code(project) == before


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (lambda place: (place / "train.py").write_text("print(2)\n"), False),
        (
            lambda place: (
                (place / "train.py").rename(place / "parts/train.py") and (place / "train.py").touch()
            ),
            False,
        ),
        (lambda place: os.utime(place / "train.py", (1, 1)), True),
        (lambda place: (place / "launch.py").write_text("# another\n"), True),
    ],
    ids=["other bytes", "another place", "another time", "a launcher of the project's own"],
)
def test_a_digest_is_that_of_names_and_bytes(project, change, same):
    before = code(project).digest
    change(project / "training")
    assert (code(project).digest == before) == same


def test_without_channels_the_folders_of_data_are_the_channels(project):
    assert [(b.channel, [f.name for f in b.files]) for b in data(project)] == [
        ("test", ["deep/b.csv"]),
        ("train", ["a.csv"]),
    ]


def test_a_channel_is_a_folder_of_the_project_or_a_prefix_in_the_cloud(project):
    train, more = data(project, train="data/test", zoo="s3://bucket/zoo/")
    assert (train.channel, train.uri, [f.name for f in train.files]) == ("train", "", ["deep/b.csv"])
    assert more == bundles.Bundle("zoo", uri="s3://bucket/zoo/")


def test_a_prefix_of_another_cloud_is_refused(project):
    assert refused(project, train="data/train", zoo="gs://bucket/zoo/") == (
        "deploy.toml: [training.channels]: zoo: is 'gs://bucket/zoo/': expected a folder or "
        "s3://bucket/prefix on this cloud"
    )


def test_a_channel_that_is_named_like_the_archive_s_code_loses_nothing(project):
    (project / "data/train/code/serving").mkdir(parents=True)
    (project / "data/train/code/serving/a.csv").write_text("")
    (train,) = data(project, train="data/train")
    assert "code/serving/a.csv" in [file.name for file in train.files]


def refused(project: Path, **configured: str) -> str:
    with pytest.raises(PackageError) as refusal:
        code(project)
        data(project, **configured)
    return str(refusal.value).replace(str(project), "PROJECT")


def test_a_script_that_is_missing_is_named(project):
    (project / "training/train.py").unlink()
    assert refused(project) == (
        "PROJECT/training/train.py: is not there: write the script that trains the model"
    )


def test_a_channel_s_folder_that_is_missing_or_empty_is_named(project):
    fix = "[training.channels] train names a folder with the data, or s3://bucket/prefix"
    assert refused(project, train="nowhere") == f"PROJECT/nowhere: is not there: {fix}"
    (project / "empty").mkdir()
    assert refused(project, train="empty") == f"PROJECT/empty: holds no files: {fix}"
    assert refused(project, train="data/notes.txt") == f"PROJECT/data/notes.txt: is not a folder: {fix}"


def test_a_folder_of_data_with_a_name_that_no_channel_has_is_told(project):
    (project / "data/a b").mkdir()
    assert refused(project).startswith("PROJECT/data/a b: 'a b' is no channel's name, expected 1 to 64 ")


@pytest.mark.parametrize("place", ["training/linked", "data/train/linked"])
def test_a_link_is_refused(project, place):
    (project / place).symlink_to("/etc/passwd")
    assert refused(project) == f"PROJECT/{place}: is a symbolic link: put a regular file in its place"


@pytest.mark.parametrize("name", [".env", "id_rsa", "credentials.json"])
@pytest.mark.parametrize("folder", ["training", "data/train"])
def test_a_file_that_holds_secrets_by_its_name_is_refused(project, folder, name):
    (project / folder / name).write_text("")
    assert refused(project) == (
        f"PROJECT/{folder}/{name}: holds secrets, going by its name: keep it out of this folder"
    )


def test_a_secret_in_the_code_is_refused_with_its_line(project):
    (project / "training/parts/model.py").write_text("\nkey = 'AKIA" + "A1B2C3D4E5F6G7H8'\n")
    assert refused(project) == (
        "PROJECT/training/parts/model.py:2: looks like an AWS access key id: take it out, and give the "
        "job's role or service account the access instead"
    )


def test_more_channels_than_a_job_takes_are_refused(project):
    for number in range(18):
        (project / f"data/more{number}").mkdir()
    assert refused(project) == "PROJECT/data: has 20 folders: a job takes 19 channels"


def test_a_file_that_changed_since_is_known(project):
    (train,) = data(project, train="data/train")
    assert not bundles.changed(train.files[0])
    (project / "data/train/a.csv").write_text("2\n")
    os.utime(project / "data/train/a.csv", (1, 1))
    assert bundles.changed(train.files[0])
    (project / "data/train/a.csv").unlink()
    assert bundles.changed(train.files[0])
