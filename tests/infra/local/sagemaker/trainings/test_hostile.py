"""Jobs that would reach out of their folders."""

from pathlib import Path
from typing import Any

import pytest

PLAIN = {"ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"]}
SAVES = (
    "import os, pathlib\npathlib.Path(os.environ['SAGEMAKER_BASE_DIR'], 'model', 'weights').write_text('1')\n"
)


@pytest.mark.parametrize("key", ["../../../escaped", "a/../../../../escaped", "..", "a/.."])
def test_a_key_that_leads_upwards_fails_the_job(trainer: Any, key: str) -> None:
    prefix = trainer.cloud.name("hostile")
    trainer.put(f"{prefix}/good.csv", "1")
    trainer.put(f"{prefix}/{key}", "1")
    channel = trainer.channel("train", f"s3://{trainer.cloud.bucket}/{prefix}/")
    found = trainer.ended(trainer.start(SAVES, channel), "Failed")
    assert "would not lie in the channel's folder" in found["FailureReason"]
    assert found["FailureReason"].startswith("ClientError: Data download failed:")
    assert list(trainer.cloud.home.rglob("escaped")) == []


def test_a_manifest_that_leads_upwards_fails_the_job(trainer: Any) -> None:
    trainer.put("up/../escaped", "1")
    url = trainer.put("up.manifest", f'[{{"prefix": "s3://{trainer.cloud.bucket}/up/"}}, "../escaped"]')
    found = trainer.ended(trainer.start(SAVES, trainer.channel("train", url, "ManifestFile")), "Failed")
    assert "would not lie in the channel's folder" in found["FailureReason"]


@pytest.mark.parametrize(
    "text",
    ["", "{}", "[]", '["a"]', '[{"prefix": 1}]', '[{"prefix": "s3://b/"}, 7]', "\xff", "[" * 10_000],
    ids=lambda text: repr(text[:20]),
)
def test_a_file_that_is_no_manifest_fails_the_job(trainer: Any, text: str) -> None:
    url = trainer.put("broken.manifest", text.encode("latin-1"))
    found = trainer.ended(trainer.start(SAVES, trainer.channel("train", url, "ManifestFile")), "Failed")
    assert "broken.manifest is no manifest, expected [" in found["FailureReason"]


def test_a_key_that_is_a_file_and_a_folder_fails_the_job_by_name(trainer: Any) -> None:
    trainer.put("both/a", "1")
    trainer.put("both/a/b", "1")
    channel = trainer.channel("train", f"s3://{trainer.cloud.bucket}/both/")
    found = trainer.ended(trainer.start(SAVES, channel), "Failed")
    assert f"s3://{trainer.cloud.bucket}/both/a/b" in found["FailureReason"]


def test_no_link_in_the_model_is_followed_out_of_it(trainer: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = f"""
        import os, pathlib
        model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
        (model / "weights").write_text("1")
        (model / "best").symlink_to("weights")
        (model / "secret").symlink_to({str(tmp_path / "secret")!r})
        (model / "folder").symlink_to({str(tmp_path)!r})
        (model / "dangling").symlink_to("nothing")
        (model / "round").symlink_to(".")
        os.mkfifo(model / "pipe")
    """
    name = trainer.start(script, algorithm=PLAIN)
    trainer.ended(name)
    assert trainer.archive(name) == {"best": b"1", "weights": b"1"}
    for left_out in ("secret", "folder", "dangling", "round", "pipe"):
        assert f"{left_out} is left out" in trainer.log(name)


def test_a_link_in_place_of_the_model_folder_is_not_followed(trainer: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = f"""
        import os, pathlib
        model = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "model")
        model.rmdir()
        model.symlink_to({str(tmp_path)!r})
    """
    name = trainer.start(script, algorithm=PLAIN)
    assert "ModelArtifacts" not in trainer.ended(name)
    assert "model is left out: it is a link that leads elsewhere" in trainer.log(name)


def test_a_link_in_place_of_the_failure_file_is_not_read(trainer: Any, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    script = f"""
        import os, pathlib
        failure = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output", "failure")
        failure.symlink_to({str(tmp_path / "secret")!r})
        raise SystemExit(1)
    """
    found = trainer.ended(trainer.start(script, algorithm=PLAIN), "Failed")
    assert found["FailureReason"] == "AlgorithmError: , exit code: 1"


def test_a_job_that_removes_its_model_folder_fails_or_ends_but_comes_to_rest(trainer: Any) -> None:
    script = """
        import os, shutil
        shutil.rmtree(os.environ["SAGEMAKER_BASE_DIR"])
    """
    assert "ModelArtifacts" not in trainer.ended(trainer.start(script, algorithm=PLAIN))
