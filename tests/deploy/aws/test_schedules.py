"""A deployment with a TTL: the schedule that ends it, made, moved, run by the local cloud, and taken away."""

import json
import re
from datetime import UTC, datetime, timedelta

import pytest
from waiting import until

ROLE = "arn:aws:iam::123456789012:role/slipway-scheduler"
TRUST = {"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}
MAY = {"Effect": "Allow", "Action": "sagemaker:DeleteEndpoint", "Resource": "*"}


def policy(statement):
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture(scope="session")
def scheduler_role(local_cloud):
    iam = local_cloud.client("iam")
    iam.create_role(RoleName="slipway-scheduler", AssumeRolePolicyDocument=policy(TRUST))
    iam.put_role_policy(RoleName="slipway-scheduler", PolicyName="delete", PolicyDocument=policy(MAY))
    return ROLE


@pytest.fixture
def ending(iris, scheduler_role):
    """iris, whose deploy.toml says who ends it."""
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("[aws]\n", f'[aws]\nscheduler_role = "{ROLE}"\n'))
    return iris


@pytest.fixture
def scheduler(cloud):
    return cloud.local.client("scheduler")


def tags(cloud, kind, name):
    sagemaker = cloud.local.client("sagemaker")
    arn = f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name}"
    return {tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}


def moment_of(schedule):
    return re.fullmatch(r"at\((.*)\)", schedule["ScheduleExpression"])[1]


def test_ttl_makes_a_schedule_that_deletes_the_endpoint_and_a_deploy_without_it_takes_it_away(
    cloud, ending, deploy, scheduler, capsys
):
    before = datetime.now(UTC)
    assert deploy(ending, "deploy-endpoint", "--ttl", "4h") == 0
    schedule = scheduler.get_schedule(Name="slipway-iris-ttl")
    moment = datetime.fromisoformat(moment_of(schedule)).replace(tzinfo=UTC)
    assert timedelta(hours=4) <= moment - before < timedelta(hours=4, minutes=2)
    assert schedule["Target"]["Arn"] == "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint"
    assert json.loads(schedule["Target"]["Input"]) == {"EndpointName": "iris"}
    assert (schedule["Target"]["RoleArn"], schedule["ActionAfterCompletion"]) == (ROLE, "DELETE")
    assert tags(cloud, "endpoint", "iris")["slipway:expires"] == f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    printed = capsys.readouterr().out
    assert f"ends       {moment:%Y-%m-%d %H:%M:%S} UTC, by itself" in printed
    # Before the endpoint: a deploy that is cut off leaves none that nobody ends.
    assert printed.index("create schedule") < printed.index("create endpoint iris")

    assert deploy(ending) == 0
    assert "delete schedule" in capsys.readouterr().out
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="slipway-iris-ttl")
    assert "slipway:expires" not in tags(cloud, "endpoint", "iris")


def test_another_ttl_moves_the_schedule_and_the_tags_of_all_that_is_there(
    cloud, ending, deploy, scheduler, capsys
):
    assert deploy(ending, "deploy-endpoint", "--ttl", "1h") == 0
    first = moment_of(scheduler.get_schedule(Name="slipway-iris-ttl"))
    capsys.readouterr()
    assert deploy(ending, "deploy-endpoint", "--ttl", "2d") == 0
    second = moment_of(scheduler.get_schedule(Name="slipway-iris-ttl"))
    assert first < second
    assert f"update  schedule        slipway-iris-ttl -> {second}Z" in capsys.readouterr().out
    sagemaker = cloud.local.client("sagemaker")
    (model,) = (m["ModelName"] for m in sagemaker.list_models(NameContains="iris-")["Models"])
    (archive,) = (uri for uri in cloud.storage.list(cloud.uri("iris/")) if uri.endswith("model.tar.gz"))
    given = cloud.local.client("s3").get_object_tagging(
        Bucket=cloud.bucket, Key=archive.removeprefix(cloud.uri())
    )
    assert tags(cloud, "model", model)["slipway:expires"] == f"{second}Z"
    assert {"Key": "slipway:expires", "Value": f"{second}Z"} in given["TagSet"]


def test_when_its_time_comes_the_local_cloud_deletes_the_endpoint_and_the_schedule(
    cloud, ending, deploy, scheduler, capsys
):
    assert deploy(ending, "deploy-endpoint", "--ttl", "1h") == 0
    schedule = scheduler.get_schedule(Name="slipway-iris-ttl")
    soon = datetime.now(UTC) + timedelta(seconds=2)
    again = {key: schedule[key] for key in ("Name", "Description", "FlexibleTimeWindow", "Target")}
    scheduler.update_schedule(**again, ScheduleExpression=f"at({soon:%Y-%m-%dT%H:%M:%S})")
    assert "endpoint iris" in cloud.held("iris")
    until(lambda: "endpoint iris" not in cloud.held("iris"), 20)
    until(lambda: not scheduler.list_schedules(NamePrefix="slipway-iris")["Schedules"], 10)
    capsys.readouterr()
    assert deploy(ending, "status") == 0
    assert "iris is not deployed" in capsys.readouterr().out


def test_a_rollback_leaves_the_end_where_it_is(ending, deploy, scheduler, weighed):
    assert deploy(ending) == 0
    assert deploy(weighed(ending, 3), "deploy-endpoint", "--ttl", "1h") == 0
    before = moment_of(scheduler.get_schedule(Name="slipway-iris-ttl"))
    assert deploy(ending, "rollback") == 0
    assert moment_of(scheduler.get_schedule(Name="slipway-iris-ttl")) == before


def test_status_says_when_it_ends(ending, deploy, capsys):
    assert deploy(ending, "deploy-endpoint", "--ttl", "3h") == 0
    capsys.readouterr()
    assert deploy(ending, "status") == 0
    assert re.search(
        r"^ends       \S+ \S+ UTC \(in (2 h 59 min|3 h.*)\)$", capsys.readouterr().out, re.MULTILINE
    )


def test_a_schedule_of_that_name_that_is_somebody_else_s_is_left_alone(ending, deploy, scheduler, capsys):
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:stopTrainingJob", "RoleArn": ROLE, "Input": "{}"}
    scheduler.create_schedule(
        Name="slipway-iris-ttl",
        ScheduleExpression="at(2099-01-01T00:00:00)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target=target,
    )
    try:
        assert deploy(ending, "deploy-endpoint", "--ttl", "3h") == 1
        assert "is not this deployment's" in capsys.readouterr().err
    finally:
        scheduler.delete_schedule(Name="slipway-iris-ttl")


def test_a_role_that_the_scheduler_may_not_take_on_is_refused_and_nothing_is_left(
    ending, deploy, held, capsys
):
    text = (ending / "deploy.toml").read_text()
    (ending / "deploy.toml").write_text(
        text.replace(ROLE, "arn:aws:iam::123456789012:role/slipway-execution")
    )
    assert deploy(ending, "deploy-endpoint", "--ttl", "3h") == 1
    assert "must allow AWS EventBridge Scheduler to assume the role" in capsys.readouterr().err
    assert held(ending) == set()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"ScheduleExpression": "at(2020-01-01T00:00:00)"}, "Invalid Schedule Expression at(2020"),
        ({"ScheduleExpression": "rate(5 minutes)"}, "Invalid Schedule Expression rate"),
        ({"Target": {"Arn": "arn:aws:lambda:us-east-1:1:function:f", "RoleArn": ROLE}}, "SageMaker's alone"),
    ],
)
def test_the_local_cloud_refuses_what_it_would_not_run(scheduler, scheduler_role, given, told):
    target = {"Arn": "arn:aws:scheduler:::aws-sdk:sagemaker:deleteEndpoint", "RoleArn": ROLE, "Input": "{}"}
    asked = {
        "Name": "any",
        "ScheduleExpression": "at(2099-01-01T00:00:00)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": target,
    }
    with pytest.raises(scheduler.exceptions.ValidationException) as refused:
        scheduler.create_schedule(**{**asked, **given})
    assert told in str(refused.value)
