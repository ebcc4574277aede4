"""[aws] log_days: how long an endpoint's log is kept, set, seen, mended and taken back in the local cloud."""

import re
import signal
from pathlib import Path

import botocore.session
import pytest
from botocore.config import Config as ClientConfig
from botocore.retries import standard
from botocore.validate import ParamValidator
from pydantic import ValidationError
from waiting import until

from deploy import aws, config
from deploy.aws import clients
from deploy.package import Archive
from deploy.sections import Aws

# Ctrl-C may come between a socket's making and its having an owner: Python's collector closes that one.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
GROUP = "/aws/sagemaker/Endpoints/iris"
CANDIDATE = f"{GROUP}-candidate"
ARN = "arn:aws:logs:us-east-1:123456789012:log-group:"
OWNER = "slipway:deployment"
SECTION = {
    "region": "us-east-1",
    "bucket": "slipway-tests",
    "role": "arn:aws:iam::123456789012:role/slipway-execution",
    "instance_type": "ml.m7i.large",
}
MAKING = ("CreateLogGroup", "TagResource", "PutRetentionPolicy")
UNMAKING = ("DeleteRetentionPolicy", "UntagResource")
LOOKING = ("DescribeLogGroups", "ListTagsForResource")
STOPPED, FAILED = 130, 1


def keep(place, days):
    """Have deploy.toml say how long; None takes it away again."""
    text = re.sub(r"log_days = .*\n", "", (place / "deploy.toml").read_text())
    line = f"log_days = {days}\n" if days else ""
    (place / "deploy.toml").write_text(text.replace("[aws]\n", f"[aws]\n{line}"))
    return place


@pytest.fixture
def logs(cloud):
    return cloud.local.client("logs")


@pytest.fixture
def kept(logs):
    """Of each log group that begins with the endpoint's name: its days, and whose tag is on it."""

    def look():
        found = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        tags = {
            one["logGroupName"]: logs.list_tags_for_resource(resourceArn=one["logGroupArn"])["tags"]
            for one in found
        }
        return {
            one["logGroupName"]: (one.get("retentionInDays"), tags[one["logGroupName"]].get(OWNER))
            for one in found
        }

    return look


@pytest.fixture
def planned(deploy, capsys):
    """The lines of a plan that are about logs, and whether it has none at all."""

    def plan(place):
        capsys.readouterr()
        assert deploy(place, "plan") == 0
        told = capsys.readouterr().out
        found = [" ".join(line.split()) for line in told.splitlines() if " retention " in line]
        return "nothing to change" if "nothing to change" in told else found

    return plan


def printed(logs):
    """How many lines the endpoint's containers have in the log."""
    return len(logs.filter_log_events(logGroupName=GROUP)["events"])


def interrupt(cloud, wanted):
    """Press Ctrl-C when that operation was answered."""
    cloud.on_call(lambda operation: signal.raise_signal(signal.SIGINT) if operation == wanted else None)


@pytest.fixture
def soon_given_up(monkeypatch):
    """What would be tried for minutes is tried twice."""
    twice = ClientConfig(retries={"mode": "standard", "total_max_attempts": 2})
    monkeypatch.setattr(clients, "SETTINGS", clients.SETTINGS.merge(twice))
    monkeypatch.setattr(standard.ExponentialBackoff, "delay_amount", lambda *_: 0.0)


def test_the_days_are_those_that_cloudwatch_logs_takes_and_no_others():
    model = botocore.session.get_session().get_service_model("logs")
    allowed = re.search(r"Possible values are: ([0-9, and]+)\.", model.shape_for("Days").documentation)[1]
    days = {int(number) for number in re.findall("[0-9]+", allowed)}
    assert len(days) > 20
    taken = set()
    for number in range(-1, 4000):
        try:
            taken.add(Aws(**SECTION, log_days=number).log_days)
        except ValidationError:
            continue
    assert taken == days


@pytest.mark.parametrize("wrong", ["31", "0", "true", "30.0", '"30"'])
def test_any_other_is_refused_with_the_list(project, wrong):
    with pytest.raises(config.ConfigError) as refused:
        config.load(keep(project("iris"), wrong))
    told = str(refused.value)
    assert told.startswith("deploy.toml: [aws]: log_days is ")
    assert "one of 1, 3, 5, 7, 14, 30, 60, 90, " in told


def test_what_is_wanted_is_these_requests_and_without_log_days_none(project):
    place = project("iris")
    archive = Archive(Path("build/model.tar.gz"), "0" * 64, 1, 1)
    without = aws.desired(config.load(place), archive)
    assert [one for one in without if one.kind == "retention"] == []
    wanted = aws.desired(config.load(keep(place, 30)), archive)
    (made,) = [one for one in wanted if one.kind == "retention"]
    assert (made.name, made.version) == (GROUP, "30 days")
    assert made.params == {
        "CreateLogGroup": {"logGroupName": GROUP},
        "TagResource": {"resourceArn": f"{ARN}{GROUP}", "tags": {OWNER: "iris"}},
        "PutRetentionPolicy": {"logGroupName": GROUP, "retentionInDays": 30},
    }
    model = botocore.session.get_session().get_service_model("logs")
    for operation, params in made.params.items():
        shape = model.operation_model(operation).input_shape
        assert not ParamValidator().validate(params, shape).has_errors()
    # Another number makes no other version of what serves.
    assert [one for one in wanted if one.kind != "retention"] == without


def test_it_is_set_before_a_container_prints_mended_moved_and_taken_back(
    iris, deploy, logs, kept, planned, capsys
):
    assert planned(keep(iris, 30)) == [f"create retention {GROUP} -> 30 days"]
    assert kept() == {}
    assert deploy(iris) == 0
    told = capsys.readouterr().out
    assert told.index("create retention") < told.index("create endpoint iris")
    assert kept() == {GROUP: (30, "iris")}
    assert planned(iris) == "nothing to change"

    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=1)
    assert planned(iris) == [f"update retention {GROUP} -> 30 days"]
    logs.delete_retention_policy(logGroupName=GROUP)
    assert planned(iris) == [f"update retention {GROUP} -> 30 days"]
    assert deploy(iris) == 0
    assert kept() == {GROUP: (30, "iris")}

    assert deploy(keep(iris, 1)) == 0
    assert f"update retention {GROUP} -> 1 day  " in capsys.readouterr().out
    assert kept() == {GROUP: (1, "iris")}

    until(lambda: printed(logs), 20)
    before = printed(logs)
    assert planned(keep(iris, None)) == [f"delete retention {GROUP}"]
    assert deploy(iris) == 0
    assert kept() == {GROUP: (None, None)}
    assert printed(logs) >= before

    assert deploy(keep(iris, 30)) == 0
    assert deploy(iris, "destroy", "--yes") == 0
    assert kept() == {}


def test_without_log_days_what_somebody_set_is_left_as_it_is_and_with_it_taken_over(
    iris, deploy, logs, kept, planned, weighed
):
    assert deploy(iris) == 0
    until(lambda: GROUP in kept(), 20)
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=7)
    assert planned(iris) == "nothing to change"
    assert deploy(weighed(iris, 3)) == 0
    assert kept() == {GROUP: (7, None)}
    before = printed(logs)
    assert planned(keep(iris, 30)) == [f"create retention {GROUP} -> 30 days"]
    assert deploy(iris, "rollback") == 0
    assert kept() == {GROUP: (30, "iris")}
    assert printed(logs) >= before


def test_the_log_of_another_deployment_is_refused_before_anything_is_made(
    iris, deploy, logs, kept, held, capsys
):
    logs.create_log_group(logGroupName=GROUP)
    logs.tag_resource(resourceArn=f"{ARN}{GROUP}", tags={OWNER: "other"})
    try:
        assert deploy(keep(iris, 30)) == 1
        assert f"retention {GROUP!r} is there already and is not this deployment's" in capsys.readouterr().err
        assert (held(iris), kept()) == (set(), {GROUP: (None, "other")})
    finally:
        logs.untag_resource(resourceArn=f"{ARN}{GROUP}", tagKeys=[OWNER])


@pytest.mark.parametrize("status", [STOPPED, FAILED])
def test_stopped_after_any_of_its_changes_or_failed_the_same_command_again_converges(
    cloud, iris, deploy, kept, planned, status, soon_given_up, capsys
):
    for operation in (*MAKING, *UNMAKING):
        start, end = (30, None) if operation in UNMAKING else (None, 14)
        assert deploy(keep(iris, start)) == 0
        cloud.forget()
        if status == STOPPED:
            interrupt(cloud, operation)
        else:
            cloud.refuse(operation, 500)
        capsys.readouterr()
        assert deploy(keep(iris, end)) == status, operation
        assert ("converges" if status == STOPPED else "error: no (InternalFailure") in capsys.readouterr().err
        cloud.forget()
        assert deploy(iris) == 0
        assert kept() == {GROUP: (end, "iris" if end else None)}, operation
    assert planned(iris) == "nothing to change"


def test_a_first_deploy_stopped_before_the_group_is_tagged_converges(cloud, iris, deploy, kept):
    interrupt(cloud, "CreateLogGroup")
    assert deploy(keep(iris, 30)) == STOPPED
    assert kept() == {GROUP: (None, None)}
    cloud.forget()
    assert deploy(iris) == 0
    assert kept() == {GROUP: (30, "iris")}


def test_a_destroy_that_was_stopped_at_it_goes_on_and_leaves_no_log(cloud, iris, deploy, kept):
    assert deploy(keep(iris, 30)) == 0
    for operation in (*UNMAKING, "DeleteLogGroup"):
        interrupt(cloud, operation)
        assert deploy(iris, "destroy", "--yes") == STOPPED, operation
        cloud.forget()
    assert deploy(iris, "destroy", "--yes") == 0
    assert kept() == {}


def test_a_first_deploy_that_is_refused_takes_it_back(cloud, iris, deploy, kept, held):
    cloud.refuse("CreateEndpoint", 403)
    assert deploy(keep(iris, 30)) == 1
    assert held(iris) == set()
    # The group alone is left: nothing is in it, and `destroy` deletes it.
    assert kept() == {GROUP: (None, None)}
    cloud.forget()
    assert deploy(iris, "destroy", "--yes") == 0
    assert kept() == {}


def test_whoever_may_not_look_plans_without_it_and_is_told_with_it(cloud, iris, deploy, logs, capsys):
    logs.create_log_group(logGroupName=GROUP)
    for operation in LOOKING:
        cloud.forget()
        cloud.refuse(operation, 403)
        assert deploy(keep(iris, None), "plan") == 0
        assert deploy(keep(iris, 30), "plan") == 1
        assert "whoever runs this needs that permission" in capsys.readouterr().err


def test_where_a_policy_of_the_account_goes_before_it_there_is_nothing_to_mend(iris, logs, fresh, planned):
    logs.create_log_group(logGroupName=GROUP)
    logs.tag_resource(resourceArn=f"{ARN}{GROUP}", tags={OWNER: "iris"})
    assert planned(keep(iris, 30)) == [f"update retention {GROUP} -> 30 days"]

    def overrule(parsed, **_):
        for group in parsed["logGroups"]:
            group.update(retentionInDays=365, retentionPolicyName="everything-for-a-year")

    fresh().events.register("after-call.cloudwatch-logs.DescribeLogGroups", overrule)
    assert planned(iris) == []
    assert planned(keep(iris, None)) == [f"delete retention {GROUP}"]
    fresh()


def test_a_candidate_s_log_has_it_and_goes_with_destroy_where_a_stopped_release_left_it(
    cloud, iris, deploy, kept, weighed
):
    with (keep(iris, 30) / "deploy.toml").open("a") as file:
        file.write("\n[release]\n")
    seen = []
    cloud.on_call(lambda operation: seen.append(kept()) if operation == "InvokeEndpoint" else None)
    assert deploy(iris) == 0
    assert {GROUP: (30, "iris"), CANDIDATE: (30, "iris")} in seen
    assert kept() == {GROUP: (30, "iris")}
    cloud.forget()
    interrupt(cloud, "DeleteEndpoint")
    assert deploy(weighed(iris, 3)) == STOPPED
    cloud.forget()
    # The version before again: no candidate is made, whose deletion would delete its log.
    assert deploy(weighed(iris, 2)) == 0
    assert kept() == {GROUP: (30, "iris"), CANDIDATE: (30, "iris")}
    assert deploy(iris, "destroy", "--yes") == 0
    assert kept() == {}


@pytest.mark.parametrize("owner", [None, "iris-candidate"])
def test_a_log_of_the_candidate_s_name_without_our_tag_is_somebody_s(iris, deploy, kept, logs, owner):
    logs.create_log_group(logGroupName=CANDIDATE)
    # moto keeps the tags of a group that was deleted.
    logs.untag_resource(resourceArn=f"{ARN}{CANDIDATE}", tagKeys=[OWNER])
    if owner:
        logs.tag_resource(resourceArn=f"{ARN}{CANDIDATE}", tags={OWNER: owner})
    assert deploy(keep(iris, 30), "destroy", "--yes") == 0
    assert kept() == {CANDIDATE: (None, owner)}
    logs.untag_resource(resourceArn=f"{ARN}{CANDIDATE}", tagKeys=[OWNER])
    logs.delete_log_group(logGroupName=CANDIDATE)
