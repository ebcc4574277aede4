"""A job's life, as boto3 sees it: states, stop, lists, tags, and what is left when the local cloud stops."""

import datetime
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import boto3
import pytest
from botocore.exceptions import ClientError, WaiterError
from roles import make_role
from waiting import is_alive, until

from infra.local.cloud import Caller
from infra.local.sagemaker.containers import ContainerSpec, Owner
from infra.local.sagemaker.transforms.files import Handling
from infra.local.sagemaker.transforms.joining import Processing
from infra.local.sagemaker.transforms.posting import Client
from infra.local.sagemaker.transforms.runs import Plan, Runs
from infra.local.sagemaker.transforms.states import TransformJob, TransformJobs
from infra.local.settings import Settings

SOON = {"Delay": 1, "MaxAttempts": 30}
ROOT = Path(__file__).parents[5]


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_a_job_is_inprogress_and_then_completed_with_its_times_and_defaults(jobs):
    request = jobs.request(jobs.put({"a": b"1 SLOW\n"}), Environment={"A": "b"}, MaxPayloadInMB=1)
    name = request["TransformJobName"]
    made = jobs.cloud.sagemaker.create_transform_job(**request)
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:transform-job/{name}"
    assert made["TransformJobArn"] == arn
    described = jobs.cloud.sagemaker.describe_transform_job(TransformJobName=name)
    assert described["TransformJobStatus"] == "InProgress"
    assert not {"TransformEndTime", "FailureReason"} & described.keys()
    waiter = jobs.cloud.sagemaker.get_waiter("transform_job_completed_or_stopped")
    waiter.wait(TransformJobName=name, WaiterConfig=SOON)
    described = jobs.cloud.sagemaker.describe_transform_job(TransformJobName=name)
    assert described["CreationTime"] <= described["TransformStartTime"] < described["TransformEndTime"]
    times = {"CreationTime", "TransformStartTime", "TransformEndTime", "ResponseMetadata"}
    assert {key: value for key, value in described.items() if key not in times} == {
        **request,
        "TransformJobArn": arn,
        "TransformJobStatus": "Completed",
        "TransformInput": {"CompressionType": "None", **request["TransformInput"]},
        "DataProcessing": {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"},
    }


def test_the_waiter_gives_up_on_a_failed_job(jobs):
    name = jobs.start(jobs.put({"a": b"FAIL400\n"}))
    waiter = jobs.cloud.sagemaker.get_waiter("transform_job_completed_or_stopped")
    with pytest.raises(WaiterError):
        waiter.wait(TransformJobName=name, WaiterConfig=SOON)
    assert jobs.ended(name)["TransformJobStatus"] == "Failed"


def test_a_job_that_is_stopped_is_stopping_and_then_stopped_and_no_further_output_appears(jobs):
    url = jobs.put({"a": b"1\n", "b": b"HANG\n", "c": b"2\n"})
    name = jobs.start(url)
    until(lambda: "a.out" in jobs.outputs(name))
    jobs.cloud.sagemaker.stop_transform_job(TransformJobName=name)
    described = jobs.cloud.sagemaker.describe_transform_job(TransformJobName=name)
    assert described["TransformJobStatus"] in ("Stopping", "Stopped")
    described = jobs.ended(name)
    assert described["TransformJobStatus"] == "Stopped"
    assert described["TransformEndTime"] > described["TransformStartTime"]
    assert "FailureReason" not in described
    assert jobs.outputs(name) == {"a.out": b"1\n"}


def test_an_answer_that_comes_after_the_stop_is_no_output(jobs):
    name = jobs.start(jobs.put({"a": b"1\n"}), {"SLEEP_S": "1", "DEAF": "1"})
    until(lambda: jobs.data_log(name))  # its request is on its way
    jobs.cloud.sagemaker.stop_transform_job(TransformJobName=name)
    assert jobs.ended(name)["TransformJobStatus"] == "Stopped"
    assert [one["status"] for one in jobs.requests(name)] == [200]
    assert jobs.outputs(name) == {}


def test_a_job_can_be_stopped_while_its_container_starts_and_twice(jobs):
    name = jobs.start(jobs.put({"a": b"1\n"}), {"START_S": "30"})
    jobs.cloud.sagemaker.stop_transform_job(TransformJobName=name)
    try:
        jobs.cloud.sagemaker.stop_transform_job(TransformJobName=name)
    except ClientError as refused:  # it has stopped meanwhile
        assert refused.response["Error"]["Code"] == "ValidationException"
    assert jobs.ended(name)["TransformJobStatus"] == "Stopped"
    assert jobs.outputs(name) == {}


def test_a_job_that_is_stopped_before_its_work_begins_does_none(tmp_path):
    asked = []
    request = {"TransformResources": {"InstanceCount": 1}}
    job = TransformJob(Caller("1", "us-east-1"), "early", "arn", request, 1.0)
    cloud = SimpleNamespace(settings=Settings(home=tmp_path), list_keys=lambda *place: asked.append(place))
    table = TransformJobs()
    table.add(job)
    table.stop(job.key)
    owner = Owner("transform job", "early", "group", "early/{instance}", "no ping")
    container = ContainerSpec(job.caller, owner, "image", "", {}, 1.0)
    handling = Handling("Line", False, True, "here", Processing(""))
    Runs(cloud, table).begin(job, Plan((), handling, Client({}), container))
    until(lambda: table.find(job.key).status == "Stopped")
    assert asked == []


def test_a_job_that_has_ended_cannot_be_stopped(jobs):
    name = jobs.run(jobs.put({"a": b"1\n"}))
    assert refused(jobs.cloud.sagemaker.stop_transform_job, TransformJobName=name) == (
        "ValidationException",
        "The request was rejected because the transform job is in status Completed",
    )


def test_an_unknown_job_is_refused(jobs):
    sagemaker = jobs.cloud.sagemaker
    assert refused(sagemaker.describe_transform_job, TransformJobName="nobody") == (
        "ValidationException",
        "Could not find requested job with name: nobody",
    )
    assert refused(sagemaker.stop_transform_job, TransformJobName="nobody") == (
        "ValidationException",
        "Could not find job to update with name: nobody",
    )


def test_no_process_and_no_directory_is_left_of_a_job(jobs):
    others = set(jobs.cloud.home.glob("containers/*"))  # other tests' endpoints
    name = jobs.run(jobs.put({"a": b"1\n"}))
    (pid,) = {one["pid"] for one in jobs.requests(name)}
    assert not is_alive(pid)
    assert set(jobs.cloud.home.glob("containers/*")) <= others


def test_lists_are_filtered_sorted_and_paged(jobs):
    url, word = jobs.put({"a": b"1\n"}), jobs.cloud.name("listed")
    names = [f"{word}-{letter}" for letter in "bac"]
    for name in names:
        jobs.run(url, TransformJobName=name)
    failed = jobs.failed(jobs.put({"a": b"FAIL400\n"}), TransformJobName=f"{word}-d")
    list_jobs = jobs.cloud.sagemaker.list_transform_jobs

    def listed(**asked):
        found = list_jobs(NameContains=word, **asked)["TransformJobSummaries"]
        return [one["TransformJobName"] for one in found]

    assert listed() == [failed, *reversed(names)]
    assert listed(SortBy="Name", SortOrder="Ascending") == [*sorted(names), failed]
    assert listed(SortBy="Status", SortOrder="Descending")[0] == failed
    assert listed(StatusEquals="Failed") == [failed]
    assert listed(StatusEquals="Stopped") == []
    assert listed(CreationTimeAfter=datetime.datetime.now(datetime.UTC)) == []
    assert listed(MaxResults=3) == [failed, *reversed(names[1:])]
    pages = jobs.cloud.sagemaker.get_paginator("list_transform_jobs").paginate(
        NameContains=word, PaginationConfig={"PageSize": 3}
    )
    assert [len(page["TransformJobSummaries"]) for page in pages] == [3, 1]
    (summary,) = list_jobs(NameContains=word, StatusEquals="Failed")["TransformJobSummaries"]
    assert summary.keys() == {
        "TransformJobName",
        "TransformJobArn",
        "CreationTime",
        "TransformEndTime",
        "LastModifiedTime",
        "TransformJobStatus",
        "FailureReason",
    }


def test_tags_are_those_of_the_request_and_can_be_added_and_deleted(jobs):
    tags = [{"Key": "kit", "Value": "slipway"}]
    name = jobs.run(jobs.put({"a": b"1\n"}), Tags=tags)
    arn = jobs.ended(name)["TransformJobArn"]
    sagemaker = jobs.cloud.sagemaker
    assert sagemaker.list_tags(ResourceArn=arn)["Tags"] == tags
    sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "more", "Value": "1"}, {"Key": "kit", "Value": "2"}])
    assert {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]} == {
        "kit": "2",
        "more": "1",
    }
    sagemaker.delete_tags(ResourceArn=arn, TagKeys=["kit"])
    assert [tag["Key"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]] == ["more"]
    untagged = jobs.run(jobs.put({"a": b"1\n"}))
    assert sagemaker.list_tags(ResourceArn=arn.replace(name, untagged))["Tags"] == []
    assert "Could not find transform job" in refused(sagemaker.list_tags, ResourceArn=arn + "x")[1]


def test_jobs_of_another_region_are_others(jobs):
    name = jobs.run(jobs.put({"a": b"1\n"}))
    elsewhere = jobs.cloud.client("sagemaker", "eu-west-1")
    assert elsewhere.list_transform_jobs()["TransformJobSummaries"] == []
    assert "Could not find" in refused(elsewhere.describe_transform_job, TransformJobName=name)[1]


@pytest.fixture
def own_cloud(tmp_path):
    """A local cloud that the test may end, with a bucket, a role and a model; its process and a client."""
    registry = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
    command = [sys.executable, str(Path(__file__).with_name("batchbox.py"))]
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "AWS_"))},
        "SLIPWAY_LOCAL_PORT": "0",
        "SLIPWAY_LOCAL_HOME": str(tmp_path),
        "SLIPWAY_LOCAL_STOP_GRACE_S": "2",
        "SLIPWAY_LOCAL_IMAGES": json.dumps({registry: command}),
        "PYTHONPATH": str(ROOT),
    }
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.serve"], cwd=tmp_path, env=environ, stdout=log, stderr=log
        )
    yield process, tmp_path
    process.kill()
    process.wait()


def started_on(home, registry="123456789012.dkr.ecr.us-east-1.amazonaws.com"):
    """A job with a request that hangs, on that cloud; the client and the container's process id."""
    until(lambda: (home / "state.json").exists(), 60)
    port = json.loads((home / "state.json").read_text())["port"]

    def client(service):
        return boto3.Session().client(
            service,
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    s3, iam, sagemaker = client("s3"), client("iam"), client("sagemaker")
    s3.create_bucket(Bucket="here")
    s3.put_object(Bucket="here", Key="in/a", Body=b"HANG\n")
    role = make_role(iam, "r")
    container = {"Image": f"{registry}/box:1"}
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer=container)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://here/in/"}}
    sagemaker.create_transform_job(
        TransformJobName="j",
        ModelName="m",
        TransformInput={"DataSource": source, "SplitType": "Line"},
        TransformOutput={"S3OutputPath": "s3://here/out"},
        TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 2},
    )
    until(lambda: containers_in(home), 20)
    pids = containers_in(home)
    for one in (s3, iam, sagemaker):
        one.close()
    return pids


def containers_in(home):
    """The processes that work in a container's directory of that cloud."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(home / "containers"):
                found.append(int(process.name))
        except OSError:
            continue
    return found


def test_the_local_cloud_s_end_ends_its_jobs_and_leaves_no_process(own_cloud):
    process, home = own_cloud
    pids = started_on(home)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    assert not [pid for pid in pids if is_alive(pid)]
    assert list((home / "containers").iterdir()) == []


def test_a_local_cloud_that_is_killed_leaves_no_container_of_a_job(own_cloud):
    process, home = own_cloud
    pids = started_on(home)
    process.kill()
    process.wait()
    until(lambda: not [pid for pid in pids if is_alive(pid)], 10)
