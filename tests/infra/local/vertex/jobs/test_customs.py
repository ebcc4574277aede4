"""Custom jobs and training pipelines by Google's own SDK: a real command, in a place of its own."""

import io
import json
import re
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform

from training import launch, launch_vertex

IMAGE = "us-docker.pkg.dev/project/images/training:1"
TELLS = "import json, os, sys; print(json.dumps([sys.argv[1:], sys.prefix, os.getcwd(), dict(os.environ)]))"


def submit(bucket, command, *, args=(), env=None, **given):
    """A job that runs the command, not waited for; its resource name."""
    container = {"image_uri": IMAGE, "command": list(command), "args": list(args)}
    container["env"] = [{"name": name, "value": value} for name, value in (env or {}).items()]
    job = aiplatform.CustomJob(
        display_name="trains",
        worker_pool_specs=[
            {
                "machine_spec": {"machine_type": "n1-standard-4"},
                "replica_count": 1,
                "container_spec": container,
            }
        ],
        base_output_dir=bucket.uri("run"),
    )
    job.submit(**given)
    return job.resource_name


def python(code):
    return ["python3", "-c", textwrap.dedent(code)]


@pytest.mark.usefixtures("left_clean")
def test_a_container_is_told_where_its_output_goes_and_sees_a_place_of_its_own(google, bucket, ended):
    code = (
        "import os, urllib.request\n"
        + TELLS.replace("print(", "print(told := ")
        + textwrap.dedent("""
        url = os.environ["STORAGE_EMULATOR_HOST"] + "/upload/storage/v1/b/"
        bucket, _, name = os.environ["AIP_MODEL_DIR"].removeprefix("gs://").partition("/")
        url += bucket + "/o?uploadType=media&name=" + name + "told"
        urllib.request.urlopen(urllib.request.Request(url, told.encode(), method="POST"))
    """)
    )
    job = ended(submit(bucket, python(code), args=["--epochs", "3"], env={"MINE": "yes"}))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert job["createTime"] <= job["startTime"] <= job["endTime"]
    argv, prefix, here, told = json.loads(bucket.left("run/model/")["told"])
    assert argv == ["--epochs", "3"]
    assert prefix.startswith(str(google.home))
    assert prefix != sys.prefix
    assert here.startswith(str(google.home))
    assert told["AIP_MODEL_DIR"] == bucket.uri("run/model/")
    assert told["AIP_CHECKPOINT_DIR"] == bucket.uri("run/checkpoints/")
    assert told["AIP_TENSORBOARD_LOG_DIR"] == bucket.uri("run/logs/")
    assert told["CLOUD_ML_JOB_ID"] == job["name"].rpartition("/")[2]
    assert json.loads(told["CLUSTER_SPEC"])["task"] == {"type": "workerpool0", "index": 0}
    assert told["MINE"] == "yes"
    assert "SLIPWAY_LOCAL_HOME" not in told


def test_a_failure_says_its_status_and_has_the_end_of_the_log(google, bucket, ended):
    job = ended(submit(bucket, python("print('begins')\nraise ValueError('no flights')")))
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_FAILED", 3)
    assert "The replica workerpool0-0 exited with a non-zero status of 1." in job["error"]["message"]
    assert "begins\nTraceback" in job["error"]["message"]
    assert "ValueError: no flights" in job["error"]["message"]


def test_the_sdk_waits_for_a_job_and_raises_for_one_that_failed(google, bucket):
    container = {"image_uri": IMAGE, "command": ["sh", "-c", "echo oh no; exit 3"]}
    pool = {
        "machine_spec": {"machine_type": "n1-standard-4"},
        "replica_count": 1,
        "container_spec": container,
    }
    job = aiplatform.CustomJob(display_name="fails", worker_pool_specs=[pool])
    with pytest.raises(RuntimeError, match="non-zero status of 3"):
        job.run()
    assert job.name in [one.name for one in aiplatform.CustomJob.list(filter='display_name="fails"')]
    name = job.resource_name
    job.delete()
    with pytest.raises(exceptions.NotFound):
        aiplatform.CustomJob.get(name)


@pytest.mark.usefixtures("left_clean")
def test_a_cancelled_job_may_save_and_is_cancelled(google, bucket, ended):
    code = """
        import os, signal, sys, time
        def save(*_):
            print("saved", flush=True)
            sys.exit(0)
        signal.signal(signal.SIGTERM, save)
        time.sleep(60)
    """
    name = submit(bucket, python(code))
    aiplatform.CustomJob.get(name).cancel()
    job = ended(name)
    assert (job["state"], job["error"]["code"]) == ("JOB_STATE_CANCELLED", 1)


def test_a_job_that_takes_longer_than_it_may_is_ended(google, bucket, ended):
    job = ended(submit(bucket, ["sleep", "60"], timeout=1))
    assert job["state"] == "JOB_STATE_FAILED"
    assert "longer than its 1 seconds" in job["error"]["message"]


def test_what_the_words_name_below_gcs_is_there_to_read(google, bucket, ended):
    bucket.put(
        "code/train.py", "import beside, sys\nassert sys.argv[1] == 'x'\nprint(open(sys.argv[2]).read())\n"
    )
    bucket.put("code/beside.py", "")
    bucket.put("data/one.csv", "1\n")
    mounted = f"/gcs/{google.bucket}/{bucket.folder}"
    job = ended(
        submit(bucket, ["python3", f"{mounted}/code/train.py", "x"], args=[f"{mounted}/data/one.csv"])
    )
    assert job["state"] == "JOB_STATE_SUCCEEDED", job


def test_pip_in_the_sdks_own_shell_command_changes_nothing_on_the_host(google, bucket, ended, tmp_path):
    """CustomJob.from_local_script sends this form, with a source package, which is not built offline."""
    before = host_packages()
    bucket.put(
        "task-1.0-py3-none-any.whl", wheel("import sys\nprint('ran in', sys.prefix)\nraise SystemExit(7)")
    )
    wheel_path = f"/gcs/{google.bucket}/{bucket.folder}/task-1.0-py3-none-any.whl"
    shell = f"pip install --upgrade pip && pip3 install -q --user {wheel_path} && python3 -m task"
    found = ended(submit(bucket, ["sh", "-c", shell], env={"PIP_NO_INDEX": "1"}))
    assert "status of 7" in found["error"]["message"], found
    assert f"ran in {google.home}" in found["error"]["message"]
    assert host_packages() == before


def test_the_sdks_own_package_of_a_script_reaches_pip(google, bucket, ended, tmp_path):
    (tmp_path / "task.py").write_text("raise SystemExit(7)\n")
    before = host_packages()
    job = aiplatform.CustomJob.from_local_script(
        display_name="script",
        script_path=str(tmp_path / "task.py"),
        container_uri=IMAGE,
        environment_variables={"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": ""},
        base_output_dir=bucket.uri("run"),
    )
    job.submit()
    message = ended(job.resource_name)["error"]["message"]
    # Where the machine's pip.conf names a place to build from, the script is installed and runs.
    assert re.search("install build dependencies did not run|non-zero status of 7", message)
    assert host_packages() == before


def wheel(code):
    """A wheel of one module, `task`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("task.py", code)
        archive.writestr("task-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: task\nVersion: 1.0\n")
        archive.writestr(
            "task-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr("task-1.0.dist-info/RECORD", "")
    return buffer.getvalue()


def host_packages():
    folders = [Path(folder) for folder in sys.path if folder.endswith("site-packages")]
    folders.append(Path.home() / ".local")
    return {folder: sorted(path.name for path in folder.glob("*")) for folder in folders}


@pytest.mark.parametrize(
    ("pool", "status", "words"),
    [
        ({}, "INVALID_ARGUMENT", "image_uri is required"),
        ({"containerSpec": {"imageUri": IMAGE}}, "UNIMPLEMENTED", "give containerSpec.command"),
        (
            {"pythonPackageSpec": {"executorImageUri": IMAGE, "pythonModule": "task"}},
            "UNIMPLEMENTED",
            "does not run pythonPackageSpec",
        ),
        (
            {"containerSpec": {"imageUri": IMAGE, "command": ["true"]}, "replicaCount": 2},
            "UNIMPLEMENTED",
            "on one machine",
        ),
        ({"containerSpec": {"image": IMAGE}}, "INVALID_ARGUMENT", 'Unknown name "image"'),
    ],
)
def test_a_job_that_cannot_be_run_is_refused_with_the_reason(google, pool, status, words):
    given = {"displayName": "no", "jobSpec": {"workerPoolSpecs": [pool]}}
    error = google.ask("POST", "customJobs", json=given).json()["error"]
    assert error["status"] == status
    assert words in error["message"]


TRAIN = """
    import os, pathlib
    channel = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "one.csv").read_text()
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("learned " + channel)
"""


def launched(google, bucket):
    """The kit's launcher with a training script, in the bucket; the command that runs it."""
    for kit in (launch, launch_vertex):
        bucket.put(f"code/{Path(kit.__file__).name}", Path(kit.__file__).read_text())
    bucket.put("code/train.py", textwrap.dedent(TRAIN))
    bucket.put("data/one.csv", "1")
    return ["python3", f"/gcs/{google.bucket}/{bucket.folder}/code/launch_vertex.py"]


def test_the_kits_launcher_trains_from_the_bucket_into_the_bucket(google, bucket, ended):
    args = [f"--channel=train={bucket.uri('data')}", "--", "--epochs", "3"]
    job = ended(submit(bucket, launched(google, bucket), args=args))
    assert job["state"] == "JOB_STATE_SUCCEEDED", job
    assert bucket.left("run/") == {"model/weights": "learned 1"}


def test_a_pipeline_trains_and_uploads_the_model(google, bucket):
    job = aiplatform.CustomContainerTrainingJob(
        display_name="pipeline",
        container_uri=IMAGE,
        command=launched(google, bucket),
        model_serving_container_image_uri=google.image,
    )
    model = job.run(
        args=[f"--channel=train={bucket.uri('data')}"],
        base_output_dir=bucket.uri("run"),
        model_display_name="trained",
        machine_type="n1-standard-4",
    )
    assert job.state.name == "PIPELINE_STATE_SUCCEEDED"
    assert (model.display_name, model.uri) == ("trained", bucket.uri("run/model"))
    assert model.version_id == "1"
    assert bucket.left("run/model/") == {"weights": "learned 1"}


def test_a_pipeline_whose_job_fails_fails_and_uploads_nothing(google, bucket, ended):
    given = {
        "displayName": "pipeline",
        "trainingTaskDefinition": (
            "gs://google-cloud-aiplatform/schema/trainingjob/definition/custom_task_1.0.0.yaml"
        ),
        "trainingTaskInputs": {
            "workerPoolSpecs": [
                {"containerSpec": {"imageUri": IMAGE, "command": ["false"]}, "replicaCount": 1}
            ],
            "baseOutputDirectory": {"outputUriPrefix": bucket.uri("run")},
        },
        "modelToUpload": {"displayName": "no", "containerSpec": {"imageUri": google.image}},
    }
    answer = google.ask("POST", "trainingPipelines", json=given)
    pipeline = ended(answer.json()["name"])
    assert pipeline["state"] == "PIPELINE_STATE_FAILED"
    assert "non-zero status of 1" in pipeline["error"]["message"]
    assert ended(pipeline["trainingTaskMetadata"]["backingCustomJob"])["state"] == "JOB_STATE_FAILED"
    assert aiplatform.Model.list(filter='display_name="no"') == []
