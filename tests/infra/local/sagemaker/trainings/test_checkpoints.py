"""Checkpoints: a later job goes on where an earlier one was."""

import time
from typing import Any

from waiting import until

PLAIN = {"ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"]}
GOES_ON = """
    import os, pathlib, time
    folder = pathlib.Path(os.environ["SM_CHECKPOINT_DIR"])
    step = len(list(folder.rglob("step-*")))
    (folder / "deep").mkdir(exist_ok=True)
    (folder / "deep" / f"step-{step}").write_text(str(step))
    pathlib.Path(os.environ["SM_MODEL_DIR"], "steps").write_text(str(step + 1))
"""
SPOT = {
    "EnableManagedSpotTraining": True,
    "StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 120},
}


def test_a_spot_job_finds_the_checkpoints_of_the_one_before(trainer: Any) -> None:
    """`/opt/ml/checkpoints`."""
    place = trainer.cloud.name("checkpoints")
    config = {"S3Uri": f"s3://{trainer.cloud.bucket}/{place}"}
    trainer.put(f"{place}-2/step-of-another", "not ours")
    for steps in (b"1", b"2"):
        name = trainer.start(GOES_ON, CheckpointConfig=config, **SPOT)
        found = trainer.ended(name)
        assert trainer.archive(name) == {"steps": steps}
        assert found["EnableManagedSpotTraining"] is True
        assert found["BillableTimeInSeconds"] <= found["TrainingTimeInSeconds"]
    assert trainer.keys(f"{place}/") == ["deep/step-0", "deep/step-1"]


def test_checkpoints_are_copied_while_the_job_runs_and_what_it_deletes_goes(trainer: Any) -> None:
    script = """
        import os, pathlib, time
        folder = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "checkpoints", "mine")
        (folder / "first").write_text("1")
        (folder / "away").symlink_to("/etc/passwd")
        print("saved", flush=True)
        while not pathlib.Path(os.environ["HOME"], "go").exists():
            time.sleep(0.05)
        (folder / "first").unlink()
        (folder / "second").write_text("2")
    """
    place = trainer.cloud.name("checkpoints")
    config = {"S3Uri": f"s3://{trainer.cloud.bucket}/{place}/", "LocalPath": "/opt/ml/checkpoints/mine"}
    name = trainer.start(script, CheckpointConfig=config, algorithm=PLAIN)
    until(lambda: trainer.keys(f"{place}/") == ["first"])
    assert trainer.describe(name)["TrainingJobStatus"] == "InProgress"
    for home in trainer.cloud.home.glob("containers/training-*/home"):
        (home / "go").touch()
    trainer.ended(name)
    assert trainer.keys(f"{place}/") == ["second"]


def test_a_stopped_job_keeps_its_last_checkpoint(trainer: Any) -> None:
    script = """
        import os, pathlib, signal, sys, time
        def save(number, frame):
            pathlib.Path(os.environ["SM_CHECKPOINT_DIR"], "last").write_text("saved")
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        print("trains", flush=True)
        time.sleep(60)
    """
    place = trainer.cloud.name("checkpoints")
    name = trainer.start(script, CheckpointConfig={"S3Uri": f"s3://{trainer.cloud.bucket}/{place}"})
    trainer.said(name, "trains")
    trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    trainer.ended(name, "Stopped")
    assert trainer.keys(f"{place}/") == ["last"]


def test_a_job_that_never_ran_leaves_the_checkpoints_in_s3(trainer: Any) -> None:
    """Its private folder is removed, which is no deletion by the job."""
    name = trainer.cloud.name("checkpoints")
    kept = {"CheckpointConfig": {"S3Uri": trainer.put(f"{name}/last.pt", "1").removesuffix("/last.pt")}}
    job = trainer.start("", algorithm={"ContainerEntrypoint": ["no\0program"]}, **kept)
    trainer.ended(job, "Failed")
    time.sleep(0.3)  # three times the interval of the copies
    assert trainer.keys(f"{name}/") == ["last.pt"]


def test_metrics_are_the_last_values_in_the_log(trainer: Any) -> None:
    script = """
        import os, pathlib
        for loss in ("0.5", "0.25", "nan", "none"):
            print(f"epoch ended loss={loss}; accuracy: {1 if loss == '0.5' else 'x'}")
        pathlib.Path(os.environ["SM_MODEL_DIR"], "x").touch()
    """
    definitions = [
        {"Name": "train:loss", "Regex": "loss=([0-9.a-z]+)"},
        {"Name": "accuracy", "Regex": r"accuracy: (\S+)"},
        {"Name": "never", "Regex": "never=(.*)"},
    ]
    found = trainer.ended(trainer.start(script, algorithm={"MetricDefinitions": definitions}))
    values = {one["MetricName"]: one["Value"] for one in found["FinalMetricDataList"]}
    assert values["train:loss"] == 0.25
    assert values["accuracy"] == 1
    assert "never" not in values
    assert all(one["Timestamp"] >= found["CreationTime"] for one in found["FinalMetricDataList"])
