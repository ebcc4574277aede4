"""An endpoint's life, as boto3 sees it."""

import threading
import time

import pytest
from botocore.exceptions import ClientError, WaiterError

ARN = "arn:aws:sagemaker:us-east-1:123456789012:"
PING_FAILED = (
    "The primary container for production variant A did not pass the ping health check. "
    "Please check CloudWatch logs for this endpoint."
)
STARTUP_S = 8
SOON = {"Delay": 1, "MaxAttempts": 20}


def refused(call, **request):
    with pytest.raises(ClientError) as caught:
        call(**request)
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Error"]["Code"] == "ValidationException"
    return error["Error"]["Message"]


def status_of(cloud, name):
    return cloud.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]


def test_create_endpoint_answers_at_once_and_the_waiter_sees_it_in_service(cloud):
    config = cloud.config(cloud.model({"START_S": "0.3"}))
    name = cloud.endpoint(config, wait=False)
    creating = cloud.sagemaker.describe_endpoint(EndpointName=name)
    assert creating["EndpointStatus"] == "Creating"
    assert creating["EndpointArn"] == f"{ARN}endpoint/{name}"
    assert creating["PendingDeploymentSummary"]["EndpointConfigName"] == config
    cloud.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=SOON)
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)
    assert described["EndpointConfigName"] == config
    assert described["LastModifiedTime"] > described["CreationTime"]
    assert not {"PendingDeploymentSummary", "FailureReason", "DataCaptureConfig"} & described.keys()
    (one,) = described["ProductionVariants"]
    assert (one["CurrentWeight"], one["CurrentInstanceCount"], one["DesiredInstanceCount"]) == (1.0, 1, 1)
    assert one["DeployedImages"][0]["SpecifiedImage"].endswith("/standin:1")


def test_a_container_that_exits_makes_the_endpoint_failed_at_once_with_its_traceback_in_the_log(cloud):
    name = cloud.endpoint(cloud.config(cloud.model({"FAILS": "1"})), wait=False)
    described = cloud.settled(name, "Failed")
    assert described["FailureReason"] == PING_FAILED
    assert cloud.log_of(name).splitlines() == [
        "Traceback (most recent call last):",
        " ",
        "ValueError: no such weights",
    ]
    with pytest.raises(WaiterError):
        cloud.sagemaker.get_waiter("endpoint_in_service").wait(EndpointName=name, WaiterConfig=SOON)


def test_row_7_a_container_not_healthy_within_the_startup_limit_makes_the_endpoint_failed(cloud):
    """Rows 6 and 7 of the faults: a /ping that takes longer than 2 s is none."""
    sick = {
        "answers 503": {"PING_STATUS": "503"},
        "slower than 2 s": {"PING": "hangs"},
        "deaf": {"START_S": "60"},
    }
    began = time.monotonic()
    names = [cloud.endpoint(cloud.config(cloud.model(one)), wait=False) for one in sick.values()]
    assert {cloud.settled(name, "Failed")["FailureReason"] for name in names} == {PING_FAILED}
    assert time.monotonic() - began >= STARTUP_S


def test_a_failed_endpoint_accepts_only_delete_endpoint(cloud):
    config = cloud.config(cloud.model({"FAILS": "1"}))
    name = cloud.endpoint(config, wait=False)
    cloud.settled(name, "Failed")
    message = refused(cloud.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=config)
    assert message == f'Cannot update failed endpoint "{ARN}endpoint/{name}".'
    weights = [{"VariantName": "A", "DesiredWeight": 1}]
    resize = cloud.sagemaker.update_endpoint_weights_and_capacities
    assert "Cannot update failed" in refused(resize, EndpointName=name, DesiredWeightsAndCapacities=weights)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=SOON)


def test_an_endpoint_that_changes_refuses_update_and_delete(cloud):
    config = cloud.config(cloud.model({"START_S": "0.5"}))
    name = cloud.endpoint(config, wait=False)
    in_progress = f'Cannot update in-progress endpoint "{ARN}endpoint/{name}".'
    request = {"EndpointName": name, "EndpointConfigName": config}
    assert refused(cloud.sagemaker.delete_endpoint, EndpointName=name) == in_progress
    assert refused(cloud.sagemaker.update_endpoint, **request) == in_progress
    cloud.settled(name, "InService")
    cloud.sagemaker.update_endpoint(**request)
    assert refused(cloud.sagemaker.delete_endpoint, EndpointName=name) == in_progress
    assert refused(cloud.sagemaker.update_endpoint, **request) == in_progress
    cloud.settled(name, "InService")


def test_delete_endpoint_goes_through_deleting_and_leaves_no_process(cloud):
    name = cloud.served()
    seen = cloud.invoke(name)
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=SOON)
    assert refused(cloud.sagemaker.describe_endpoint, EndpointName=name) == (
        f'Could not find endpoint "{ARN}endpoint/{name}".'
    )
    assert not list(cloud.home.glob(f"containers/{seen['cwd'].rpartition('/')[2]}*"))
    with pytest.raises(ProcessLookupError):
        __import__("os").kill(seen["pid"], 0)
    assert "asked to stop" in cloud.log_of(name)


def test_what_an_update_has_not_ended_yet_is_gone_with_the_endpoint(cloud):
    """It would write to its log once more, and so make the log group that was deleted after the endpoint."""
    name = cloud.served()
    seen = cloud.invoke(name)
    busy = threading.Thread(target=lambda: cloud.invoke(name, {"sleep": 1.5}))
    busy.start()
    time.sleep(0.1)
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=cloud.config(cloud.model()))
    cloud.settled(name, "InService")
    assert busy.is_alive()
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig=SOON)
    with pytest.raises(ProcessLookupError):
        __import__("os").kill(seen["pid"], 0)
    busy.join()


def test_update_endpoint_serves_the_old_version_until_the_new_one_is_healthy(cloud):
    old = cloud.config(cloud.model({"VERSION": "old"}))
    new = cloud.config(cloud.model({"VERSION": "new", "START_S": "0.5"}))
    name = cloud.endpoint(old)
    answer = cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
    assert answer["EndpointArn"] == f"{ARN}endpoint/{name}"
    updating = cloud.sagemaker.describe_endpoint(EndpointName=name)
    assert updating["EndpointStatus"] == "Updating"
    assert updating["EndpointConfigName"] == old
    pending = updating["PendingDeploymentSummary"]
    assert pending["EndpointConfigName"] == new
    assert pending["ProductionVariants"][0]["VariantStatus"][0]["Status"] == "Creating"
    assert pending["ProductionVariants"][0]["InstanceType"] == "ml.m7i.large"
    assert cloud.invoke(name)["environment"]["VERSION"] == "old"
    assert cloud.settled(name, "InService")["EndpointConfigName"] == new
    assert cloud.invoke(name)["environment"]["VERSION"] == "new"


def test_no_invocation_fails_while_versions_change(cloud):
    configs = [cloud.config(cloud.model({"VERSION": version})) for version in ("1", "2", "3")]
    name = cloud.endpoint(configs[0])
    seen, failures, stop = [], [], threading.Event()

    def caller():
        while not stop.is_set():
            try:
                seen.append(cloud.invoke(name, {"sleep": 0.05})["environment"]["VERSION"])
            except Exception as error:
                failures.append(error)

    callers = [threading.Thread(target=caller) for _ in range(4)]
    for one in callers:
        one.start()
    for config in configs[1:]:
        cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        cloud.settled(name, "InService")
        time.sleep(0.2)
    stop.set()
    for one in callers:
        one.join()
    assert failures == []
    assert set(seen) == {"1", "2", "3"}


def test_a_request_in_flight_finishes_on_the_version_that_took_it(cloud):
    name = cloud.served(VERSION="old")
    answers = []
    caller = threading.Thread(target=lambda: answers.append(cloud.invoke(name, {"sleep": 1.2})))
    caller.start()
    time.sleep(0.1)
    new = cloud.config(cloud.model({"VERSION": "new"}))
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new)
    cloud.settled(name, "InService")
    assert caller.is_alive()
    caller.join()
    assert answers[0]["environment"]["VERSION"] == "old"


def test_a_failed_update_is_rolled_back_and_reported_in_service_on_the_old_configuration(cloud):
    old = cloud.config(cloud.model({"VERSION": "old"}))
    name = cloud.endpoint(old)
    bad = cloud.config(cloud.model({"FAILS": "1"}))
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad)
    described = cloud.settled(name, "InService")
    assert described["EndpointConfigName"] == old
    assert described["FailureReason"] == PING_FAILED
    assert "PendingDeploymentSummary" not in described
    assert cloud.invoke(name)["environment"]["VERSION"] == "old"
    assert "ValueError: no such weights" in cloud.log_of(name)
    good = cloud.config(cloud.model({"VERSION": "good"}))
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=good)
    assert "FailureReason" not in cloud.settled(name, "InService")


def test_a_rollback_to_a_dead_version_is_update_rollback_failed(cloud):
    name = cloud.served(FAILS_SECOND_TIME="1")
    with pytest.raises(ClientError):
        cloud.invoke(name, {"die": True})
    bad = cloud.config(cloud.model({"FAILS": "1"}))
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad)
    cloud.settled(name, "UpdateRollbackFailed")
    cloud.sagemaker.delete_endpoint(EndpointName=name)


def test_an_endpoint_whose_configuration_was_deleted_cannot_be_updated(cloud):
    old = cloud.config(cloud.model())
    name = cloud.endpoint(old)
    new = cloud.config(cloud.model())
    cloud.sagemaker.delete_endpoint_config(EndpointConfigName=old)
    message = refused(cloud.sagemaker.update_endpoint, EndpointName=name, EndpointConfigName=new)
    assert message == f'Could not find endpoint configuration "{ARN}endpoint-config/{old}".'
    assert status_of(cloud, name) == "InService"


def test_initial_instance_count_is_that_many_processes(cloud):
    name = cloud.endpoint(cloud.config(cloud.model(), InitialInstanceCount=3))
    assert cloud.settled(name, "InService")["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert len({cloud.invoke(name)["pid"] for _ in range(60)}) == 3


def test_one_bad_variant_fails_the_whole_endpoint(cloud):
    name = cloud.endpoint(cloud.config(cloud.model(), cloud.model({"FAILS": "1"})), wait=False)
    assert "variant B" in cloud.settled(name, "Failed")["FailureReason"]


def test_update_endpoint_weights_and_capacities_starts_and_stops_instances(cloud):
    name = cloud.endpoint(cloud.config(cloud.model({"VERSION": "a"}), cloud.model({"VERSION": "b"})))
    change = cloud.sagemaker.update_endpoint_weights_and_capacities
    asked = [{"VariantName": "A", "DesiredWeight": 0, "DesiredInstanceCount": 2}]
    change(EndpointName=name, DesiredWeightsAndCapacities=asked)
    variants = {one["VariantName"]: one for one in cloud.settled(name, "InService")["ProductionVariants"]}
    assert (variants["A"]["CurrentWeight"], variants["A"]["CurrentInstanceCount"]) == (0.0, 2)
    assert variants["B"]["CurrentWeight"] == 1.0
    assert {cloud.invoke(name)["environment"]["VERSION"] for _ in range(20)} == {"b"}
    strange = [{"VariantName": "C", "DesiredWeight": 1}]
    assert "are not present" in refused(change, EndpointName=name, DesiredWeightsAndCapacities=strange)
    change(EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "A", "DesiredInstanceCount": 1}])
    variants = {one["VariantName"]: one for one in cloud.settled(name, "InService")["ProductionVariants"]}
    assert variants["A"]["CurrentInstanceCount"] == 1


def test_retain_all_variant_properties_keeps_weights_and_numbers(cloud):
    name = cloud.endpoint(cloud.config(cloud.model(), InitialInstanceCount=2, InitialVariantWeight=3))
    cloud.sagemaker.update_endpoint(
        EndpointName=name, EndpointConfigName=cloud.config(cloud.model()), RetainAllVariantProperties=True
    )
    (one,) = cloud.settled(name, "InService")["ProductionVariants"]
    assert (one["CurrentInstanceCount"], one["CurrentWeight"]) == (2, 3.0)


def test_list_endpoints_tells_true_states_and_filters_and_pages(cloud):
    good = cloud.served()
    bad = cloud.endpoint(cloud.config(cloud.model({"FAILS": "1"})), wait=False)
    cloud.settled(bad, "Failed")
    listed = cloud.sagemaker.get_paginator("list_endpoints").paginate(PaginationConfig={"PageSize": 1})
    states = {one["EndpointName"]: one["EndpointStatus"] for page in listed for one in page["Endpoints"]}
    assert (states[good], states[bad]) == ("InService", "Failed")
    only = cloud.sagemaker.list_endpoints(StatusEquals="Failed", NameContains=bad)["Endpoints"]
    assert [one["EndpointName"] for one in only] == [bad]
    newest = cloud.sagemaker.list_endpoints(MaxResults=1)["Endpoints"][0]
    assert newest["EndpointName"] == bad


def test_endpoints_of_two_regions_and_of_two_accounts_are_different_ones(cloud):
    name = cloud.served()
    with pytest.raises(ClientError, match="Could not find endpoint"):
        cloud.client("sagemaker", "eu-west-1").describe_endpoint(EndpointName=name)
    assert cloud.client("sagemaker", "eu-west-1").list_endpoints()["Endpoints"] == []


def test_tags_of_models_configurations_and_endpoints(cloud):
    model = cloud.model()
    config = cloud.config(model)
    name = cloud.endpoint(config)
    for kind, given in (("model", model), ("endpoint-config", config), ("endpoint", name)):
        arn = f"{ARN}{kind}/{given}"
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "1"}])
        cloud.sagemaker.add_tags(ResourceArn=arn, Tags=[{"Key": "k", "Value": "2"}])
        assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "k", "Value": "2"}]
        cloud.sagemaker.delete_tags(ResourceArn=arn, TagKeys=["k"])
        assert cloud.sagemaker.list_tags(ResourceArn=arn)["Tags"] == []
    message = refused(cloud.sagemaker.list_tags, ResourceArn=f"{ARN}endpoint/nobody")
    assert message == f'Could not find endpoint "{ARN}endpoint/nobody".'


def test_an_endpoint_is_made_with_its_tags_and_update_keeps_them(cloud):
    tags = [{"Key": "slipway:deployment", "Value": "x"}]
    name, config = cloud.name("tagged"), cloud.config(cloud.model())
    cloud.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config, Tags=tags)
    cloud.settled(name, "InService")
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=cloud.config(cloud.model()))
    cloud.settled(name, "InService")
    assert cloud.sagemaker.list_tags(ResourceArn=f"{ARN}endpoint/{name}")["Tags"] == tags
