"""The literal /opt/ml, and the private folder in its place."""

from pathlib import Path

import pytest

from infra.local.sagemaker.trainings.paths import Folders, is_below_opt_ml


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/opt/ml", "/p/opt/ml"),
        ("/opt/ml/model", "/p/opt/ml/model"),
        ('open("/opt/ml/input")', 'open("/p/opt/ml/input")'),
        ("--out=/opt/ml/model:/opt/ml/x", "--out=/p/opt/ml/model:/p/opt/ml/x"),
        ("file:///opt/ml/x", "file:///p/opt/ml/x"),
        ("/opt/mlflow", "/opt/mlflow"),
        ("/opt/ml-data", "/opt/ml-data"),
        ("/opt/ml.d", "/opt/ml.d"),
        ("/srv/opt/ml/x", "/srv/opt/ml/x"),
    ],
)
def test_only_the_path_itself_is_rewritten(text: str, expected: str) -> None:
    assert Folders(Path("/p")).rewritten(text) == expected


def test_programs_are_rewritten_and_nothing_else(tmp_path: Path) -> None:
    for name in ("train.py", "deep/run.sh", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("/opt/ml/model\r\n")
    (tmp_path / "odd.py").write_bytes(b"\xff /opt/ml")
    Folders(Path("/p")).rewrite_programs(tmp_path, (".py", ".sh"))
    assert (tmp_path / "train.py").read_bytes() == b"/p/opt/ml/model\r\n"
    assert (tmp_path / "deep" / "run.sh").read_bytes() == b"/p/opt/ml/model\r\n"
    assert (tmp_path / "notes.txt").read_bytes() == b"/opt/ml/model\r\n"
    assert (tmp_path / "odd.py").read_bytes() == b"\xff /opt/ml"


@pytest.mark.parametrize("path", ["/opt/ml/checkpoints", "/opt/ml/checkpoints/", "/opt/ml/a/b"])
def test_a_folder_below_opt_ml_may_hold_checkpoints(path: str) -> None:
    assert is_below_opt_ml(path)


@pytest.mark.parametrize(
    "path", ["/opt/ml", "/opt/ml/", "/opt/mlx/a", "/data", "/opt/ml/../x", "opt/ml/x", ""]
)
def test_any_other_may_not(path: str) -> None:
    assert not is_below_opt_ml(path)
