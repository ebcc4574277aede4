"""A training job's states, and what it is told of each end."""

import dataclasses
import os
import signal
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import WaiterError
from roles import make_role
from waiting import is_alive, until

PLAIN = {"ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"]}
SAVES = """
    import os, pathlib
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("trained")
"""
SAVES_WHEN_ASKED = """
    import os, pathlib, signal, sys, time
    def save(number, frame):
        pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("so far")
        sys.exit(143)
    signal.signal(signal.SIGTERM, save)
    print("trains", os.getpid(), flush=True)
    time.sleep(60)
"""
DEAF = """
    import os, signal, time
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    print("deaf", os.getpid(), flush=True)
    time.sleep(60)
"""


def phases(described: dict[str, Any]) -> list[str]:
    return [one["Status"] for one in described["SecondaryStatusTransitions"]]


def test_a_job_goes_through_its_states_with_times_and_messages(trainer: Any) -> None:
    found = trainer.ended(trainer.start(SAVES))
    assert phases(found) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert found["SecondaryStatus"] == "Completed"
    times = [
        found[name] for name in ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")
    ]
    assert times == sorted(times)
    for one in found["SecondaryStatusTransitions"]:
        assert one["StartTime"] <= one["EndTime"]
        assert one["StatusMessage"]
    assert found["TrainingTimeInSeconds"] == found["BillableTimeInSeconds"] >= 1
    assert "FailureReason" not in found


def test_while_it_trains_it_is_in_progress_without_a_model(trainer: Any) -> None:
    name = trainer.start(SAVES_WHEN_ASKED)
    trainer.said(name, "trains")
    found = trainer.describe(name)
    assert (found["TrainingJobStatus"], found["SecondaryStatus"]) == ("InProgress", "Training")
    assert "EndTime" not in found["SecondaryStatusTransitions"][-1]
    assert not {"ModelArtifacts", "TrainingEndTime", "BillableTimeInSeconds"} & found.keys()
    trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    trainer.ended(name, "Stopped")


def test_log_lines_come_while_it_trains_in_a_stream_of_the_jobs_own(trainer: Any) -> None:
    name = trainer.start(SAVES_WHEN_ASKED)
    trainer.said(name, "trains")
    assert trainer.describe(name)["TrainingJobStatus"] == "InProgress"
    (stream,) = trainer.streams(name)
    assert stream.startswith(f"{name}/algo-1-")
    assert stream.rpartition("-")[2].isdigit()
    trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    trainer.ended(name, "Stopped")


def test_the_failure_file_and_the_exit_code_are_the_reason(trainer: Any) -> None:
    """`/opt/ml/output/failure` (first 1024 bytes become FailureReason)."""
    script = """
        import os, pathlib, sys
        failure = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"], "output", "failure")
        failure.write_text("no such data" + "." * 3000)
        sys.exit(7)
    """
    found = trainer.ended(trainer.start(script, algorithm=PLAIN), "Failed")
    assert found["FailureReason"].startswith("AlgorithmError: no such data....")
    assert found["FailureReason"].endswith("..., exit code: 7")
    assert len(found["FailureReason"].encode()) == 1024
    assert phases(found)[-2:] == ["Uploading", "Failed"]


def test_without_a_failure_file_the_reason_is_the_exit_code_alone(trainer: Any) -> None:
    found = trainer.ended(trainer.start("import os; os.kill(os.getpid(), 9)", algorithm=PLAIN), "Failed")
    assert found["FailureReason"] == "AlgorithmError: , exit code: 137"
    assert "ModelArtifacts" not in found


def test_an_exception_is_in_the_reason_by_its_own_line(trainer: Any) -> None:
    found = trainer.ended(trainer.start("raise ValueError('no such column: dest')"), "Failed")
    assert "ValueError: no such column: dest" in found["FailureReason"].splitlines()[0]
    assert 'raise ValueError("' in found["FailureReason"] or "raise ValueError('" in found["FailureReason"]
    assert found["FailureReason"].endswith(", exit code: 1")


def test_a_failed_job_leaves_its_output_and_no_model(trainer: Any) -> None:
    script = (
        SAVES + "    pathlib.Path(os.environ['SM_OUTPUT_DATA_DIR'], 'x').touch()\n    raise SystemExit(1)\n"
    )
    name = trainer.start(script)
    assert "ModelArtifacts" not in trainer.ended(name, "Failed")
    assert trainer.keys(f"made/{name}/") == ["output/output.tar.gz"]


def test_an_entry_point_that_is_not_there_fails_the_job(trainer: Any) -> None:
    name = trainer.start(SAVES, algorithm={"ContainerEntrypoint": ["no-such-program"]})
    assert trainer.ended(name, "Failed")["FailureReason"] == "AlgorithmError: , exit code: 127"
    assert "cannot run no-such-program" in trainer.log(name)


def test_data_that_is_not_there_any_more_is_a_client_error(trainer: Any) -> None:
    listed = f'[{{"prefix": "s3://{trainer.cloud.bucket}/gone/"}}, "a.csv"]'
    url = trainer.put("gone.manifest", listed)
    name = trainer.start(SAVES, trainer.channel("train", url, "ManifestFile"))
    reason = trainer.ended(name, "Failed")["FailureReason"]
    assert reason.startswith("ClientError: Data download failed:")
    assert "gone/a.csv" in reason
    assert "NoSuchKey" in reason
    assert reason in trainer.log(name)


def test_a_stopped_job_has_time_to_save_and_its_model_is_kept(trainer: Any) -> None:
    name = trainer.start(SAVES_WHEN_ASKED)
    trainer.said(name, "trains")
    trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    assert trainer.describe(name)["TrainingJobStatus"] in ("Stopping", "Stopped")
    found = trainer.ended(name, "Stopped")
    assert phases(found) == ["Starting", "Downloading", "Training", "Stopping", "Uploading", "Stopped"]
    assert found["SecondaryStatus"] == "Stopped"
    assert "FailureReason" not in found
    assert trainer.archive(name) == {"weights": b"so far"}
    trainer.cloud.sagemaker.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName=name)


def test_a_job_that_does_not_hear_is_killed_when_its_time_is_over(trainer: Any) -> None:
    name = trainer.start(DEAF, algorithm=PLAIN)
    trainer.said(name, "deaf")
    trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    found = trainer.ended(name, "Stopped")
    assert "ModelArtifacts" not in found


def test_a_job_past_its_maximum_run_time_is_stopped_with_what_it_saved(trainer: Any) -> None:
    name = trainer.start(SAVES_WHEN_ASKED, StoppingCondition={"MaxRuntimeInSeconds": 2})
    found = trainer.ended(name, "Stopped")
    assert found["SecondaryStatus"] == "MaxRuntimeExceeded"
    assert trainer.archive(name) == {"weights": b"so far"}


def test_boto3s_waiter_ends_with_the_job(trainer: Any) -> None:
    waiter = trainer.cloud.sagemaker.get_waiter("training_job_completed_or_stopped")
    settings = {"Delay": 1, "MaxAttempts": 20}
    waiter.wait(TrainingJobName=trainer.start(SAVES), WaiterConfig=settings)
    with pytest.raises(WaiterError, match="Failed"):
        waiter.wait(TrainingJobName=trainer.start("raise SystemExit(1)"), WaiterConfig=settings)


def test_a_job_that_has_ended_cannot_be_stopped(trainer: Any) -> None:
    name = trainer.start(SAVES)
    trainer.ended(name)
    with pytest.raises(trainer.cloud.sagemaker.exceptions.ClientError) as refused:
        trainer.cloud.sagemaker.stop_training_job(TrainingJobName=name)
    message = "The request was rejected because the training job is in status Completed."
    assert refused.value.response["Error"] == {"Code": "ValidationException", "Message": message}


def test_nothing_of_a_job_outlives_it(trainer: Any) -> None:
    script = """
        import os, subprocess, sys, pathlib
        sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
        worker = subprocess.Popen(sleep, start_new_session=True)
        closed = pathlib.Path(os.environ["HOME"], "closed")
        closed.mkdir()
        (closed / "file").touch()
        closed.chmod(0)
        pathlib.Path(os.environ["SM_MODEL_DIR"], "pid").write_text(str(worker.pid))
    """
    name = trainer.start(script)
    trainer.ended(name)
    until(lambda: not is_alive(int(trainer.archive(name)["pid"])))
    assert list(trainer.cloud.home.glob("containers/training-*")) == []


def test_the_local_clouds_end_ends_its_jobs(trainer: Any, start_cloud: Any) -> None:
    """No orphan, and no waiting for the end of the training."""
    ending = start_cloud(SLIPWAY_LOCAL_STOP_GRACE_S="1")
    ending.client("s3").create_bucket(Bucket=trainer.cloud.bucket)
    make_role(ending.client("iam"), "execution")
    cloud = SimpleNamespace(
        **{name: getattr(trainer.cloud, name) for name in ("bucket", "role", "image", "name")},
        client=ending.client,
        sagemaker=ending.client("sagemaker"),
    )
    other = dataclasses.replace(trainer, cloud=cloud)
    name = other.start(DEAF, algorithm=PLAIN)
    other.said(name, "deaf")
    pid = int(other.log(name).split()[1])
    os.kill(ending.pid, signal.SIGTERM)
    until(lambda: not is_alive(pid))
