"""[endpoint] deployed: traffic goes over in parts and back, instances are scaled, what is asked is kept.

The local cloud waits a hundredth of what it is told (TIME_SCALE); what the kit itself waits, on Google Cloud,
is not scaled.
"""

import json
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest
from waiting import until

# Ctrl-C may come between a socket's making and its having an owner: Python's collector closes that one.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
ENDPOINT = "projects/slipway-tests/locations/us-central1/endpoints/iris"
WAIT_S = {"aws": 300, "gcp": 3}
ALARMS = "[endpoint.alarms]\nerrors = 0\n"
# Answers at the start, as the samples want it, and fails later on.
FAILS_LATER = """\
import time


class Handler:
    def load(self, model_dir):
        self.until = time.monotonic() + {after}

    def predict(self, inputs):
        if time.monotonic() > self.until:
            raise RuntimeError("a day after the training")
        return [0 for one in inputs]
"""


def configure(place, text):
    with (place / "deploy.toml").open("a") as file:
        file.write(text)


def canary(cloud, percent=50):
    return f'\n[endpoint]\nrollout = "canary"\npercent = {percent}\nwait_s = {WAIT_S[cloud.name]}\n'


@contextmanager
def asking(cloud, place):
    """Asks the endpoint all the time, and yields what it answered; None for an error."""
    answers, ended = [], threading.Event()

    def ask():
        while not ended.is_set():
            try:
                answers.append(cloud.asked(place.name))
            except Exception:  # the SDK's own, of either cloud
                answers.append(None)
            time.sleep(0.02)

    thread = threading.Thread(target=ask)
    thread.start()
    yield answers
    ended.set()
    thread.join()


def planned(deploy, place, capsys):
    capsys.readouterr()
    assert deploy(place, "plan") == 0
    words = [line.split() for line in capsys.readouterr().out.splitlines() if line.startswith("  ")]
    return [f"{found[0]} {found[1]}" for found in words if found[0] in {"create", "update", "delete"}]


def test_a_canary_gives_a_new_version_a_part_of_the_traffic_and_then_all(
    cloud, iris, deploy, asked, weighed, capsys
):
    configure(iris, canary(cloud))
    assert deploy(iris) == 0
    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    with asking(cloud, iris) as answers:
        assert deploy(weighed(iris, 3)) == 0
    changes = sum(1 for one, other in zip(answers, answers[1:], strict=False) if one != other)
    assert set(answers) == {2, 3} and changes > 2
    assert asked(iris) == 3
    start = time.monotonic()
    assert deploy(iris, "rollback") == 0
    assert asked(iris) == 2 and time.monotonic() - start < 60


def test_a_version_that_fails_under_traffic_is_put_back_and_nothing_of_it_is_left(
    cloud, iris, deploy, held, asked, capsys
):
    configure(iris, canary(cloud) + (ALARMS if cloud.name == "aws" else ""))
    assert deploy(iris) == 0
    before = held(iris)
    (iris / "inference/handler.py").write_text(FAILS_LATER.format(after=1))
    with asking(cloud, iris) as answers:
        assert deploy(iris) == 1
    told = capsys.readouterr().err.splitlines()[-1]
    assert "endpoint 'iris' did not take iris-" in told and "(it still serves iris-" in told
    assert ("iris-errors-" if cloud.name == "aws" else "with 50 % of the traffic sample ") in told
    assert {0, None} & set(answers), "it had its part of the traffic"
    assert (held(iris), asked(iris)) == (before, 2)


@pytest.mark.parametrize("cloud_name", ["gcp"])
def test_a_canary_that_was_stopped_half_way_is_taken_up(cloud, iris, deploy, asked, weighed):
    configure(iris, canary(cloud))
    assert deploy(iris) == 0
    cloud.on_call(lambda operation: operation == "PATCH endpoints" and signal.raise_signal(signal.SIGINT))
    assert deploy(weighed(iris, 3)) == 130
    cloud.forget()
    endpoint = cloud.endpoints.get_endpoint(name=ENDPOINT)
    assert len(endpoint.deployed_models) == 2
    assert deploy(iris) == 0
    endpoint = cloud.endpoints.get_endpoint(name=ENDPOINT)
    assert (len(endpoint.deployed_models), list(endpoint.traffic_split.values())) == (1, [100])
    assert asked(iris) == 3


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_alarms_and_scaling_are_made_kept_and_taken_away(cloud, iris, deploy, calls, capsys):
    scaling = "[endpoint.scaling]\nmin = 1\nmax = 3\ninvocations = 600\n"
    without = (iris / "deploy.toml").read_text()
    configure(iris, f"\n{ALARMS}{scaling}")
    assert planned(deploy, iris, capsys)[-3:] == ["create alarm", "create endpoint", "create scaling"]
    assert deploy(iris) == 0
    assert alarms(cloud) and scaled(cloud) == [(1, 3)]
    calls.clear()
    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert not set(calls) & {"PutMetricAlarm", "PutScalingPolicy", "RegisterScalableTarget", "UpdateEndpoint"}
    target(cloud).register_scalable_target(**VARIANT, MinCapacity=2, MaxCapacity=9)
    assert planned(deploy, iris, capsys) == ["update scaling"]
    assert deploy(iris) == 0
    assert scaled(cloud) == [(1, 3)]
    (iris / "deploy.toml").write_text(without)
    assert planned(deploy, iris, capsys) == ["delete scaling", "delete alarm"]
    assert deploy(iris) == 0
    assert (alarms(cloud), scaled(cloud)) == ([], [])


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_new_version_keeps_the_number_of_instances_that_scaling_chose(cloud, iris, deploy, weighed, asked):
    configure(iris, "\n[endpoint.scaling]\nmin = 1\nmax = 2\ninvocations = 100000\nscale_in_s = 3600\n")
    assert deploy(iris) == 0
    sagemaker = cloud.local.client("sagemaker")
    more = {"VariantName": "AllTraffic", "DesiredInstanceCount": 2}
    sagemaker.update_endpoint_weights_and_capacities(EndpointName="iris", DesiredWeightsAndCapacities=[more])
    until(lambda: sagemaker.describe_endpoint(EndpointName="iris")["EndpointStatus"] == "InService", 30)
    assert deploy(weighed(iris, 3)) == 0
    (variant,) = sagemaker.describe_endpoint(EndpointName="iris")["ProductionVariants"]
    assert (variant["CurrentInstanceCount"], asked(iris)) == (2, 3)


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_destroy_takes_what_stands_on_the_endpoint_first_and_leaves_an_alarm_of_somebody_else_s(
    cloud, iris, deploy, capsys
):
    configure(iris, f"\n{ALARMS}p99_ms = 500\n[endpoint.scaling]\nmax = 3\nconcurrency = 4\n")
    assert deploy(iris) == 0
    ours, strange = sorted(alarms(cloud))
    watch = cloud.local.client("cloudwatch")
    (arn,) = (one["AlarmArn"] for one in watch.describe_alarms(AlarmNames=[strange])["MetricAlarms"])
    watch.untag_resource(ResourceARN=arn, TagKeys=["slipway:deployment"])
    capsys.readouterr()
    assert deploy(iris, "destroy", "--yes") == 0
    told = capsys.readouterr().out
    order = [
        told.index(what) for what in ("delete scaling iris", "delete endpoint iris", f"delete alarm {ours}")
    ]
    assert order == sorted(order)
    assert f"not this deployment's, left alone: alarm {strange}" in told
    assert (alarms(cloud), scaled(cloud)) == ([strange], [])
    watch.delete_alarms(AlarmNames=[strange])


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_an_asynchronous_endpoint_is_asked_by_objects_and_none_of_ours_is_left(
    cloud, iris, deploy, held, capsys
):
    configure(iris, "\n[endpoint.asynchronous]\nconcurrency = 2\n")
    assert deploy(iris) == 0
    told = capsys.readouterr().out
    assert "iris answered 2 of 2 samples" in told
    program = told.partition("# the same from Python:\n")[2].partition("# end\n")[0]
    asked = subprocess.run(
        [sys.executable, "-c", program], env=cloud.local.shell, capture_output=True, text=True
    )
    assert (asked.stdout.strip(), asked.stderr) == ("2", "")
    assert len(cloud.storage.list(cloud.uri("asynchronous/iris/"))) == 1
    for made_by_the_program in ("asynchronous/", "iris/waiting/"):
        cloud.storage.remove(cloud.uri(made_by_the_program))
    body = iris / "body.jsonl"
    body.write_text("21\n")
    assert deploy(iris, "invoke", "--body", str(body)) == 0
    assert capsys.readouterr().out == "42\n"
    body.write_text("null\n")
    assert deploy(iris, "invoke", "--body", str(body)) == 1
    assert "error: the endpoint failed to answer: " in capsys.readouterr().err
    assert deploy(iris, "latency", "--times", "1") == 0
    assert cloud.storage.list(cloud.uri("asynchronous/")) == []
    assert not [thing for thing in held(iris) if "/waiting/" in thing]
    cloud.storage.put(cloud.uri("iris/waiting/left"), "1")
    assert deploy(iris, "destroy", "--yes") == 0
    assert held(iris) == set()


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_an_asynchronous_endpoint_without_instances_gets_one_when_a_request_waits(
    cloud, iris, deploy, capsys
):
    configure(
        iris,
        "\n[endpoint.asynchronous]\n"
        "[endpoint.scaling]\nmin = 0\nmax = 1\nbacklog = 4\nscale_in_s = 0\nscale_out_s = 0\n",
    )
    assert deploy(iris) == 0
    sagemaker = cloud.local.client("sagemaker")

    def instances():
        (variant,) = sagemaker.describe_endpoint(EndpointName="iris")["ProductionVariants"]
        return variant["CurrentInstanceCount"]

    until(lambda: instances() == 0, 60)
    assert planned(deploy, iris, capsys) == []
    assert deploy(iris, "invoke") == 0
    assert capsys.readouterr().out.splitlines()[-2:] == ["2", "5.0"]
    assert deploy(iris, "destroy", "--yes") == 0
    assert (alarms(cloud), scaled(cloud)) == ([], [])


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_serverless_endpoint_answers_and_says_so(cloud, iris, deploy, asked, capsys):
    configure(iris, "\n[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 5\n")
    assert deploy(iris) == 0
    assert asked(iris) == 2
    capsys.readouterr()
    assert deploy(iris, "status") == 0
    assert "serverless, 2048 MB, 5 requests at once" in capsys.readouterr().out


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_what_is_captured_lies_in_the_bucket_and_outlives_the_deployment(cloud, iris, deploy, asked, capsys):
    configure(iris, "\n[endpoint]\nrollout = 'canary'\n[endpoint.capture]\nprefix = 'kept'\n")
    assert deploy(iris) == 0
    assert (
        "SageMaker moves all traffic at once and asks no alarm where data is captured"
        in capsys.readouterr().err
    )
    assert asked(iris) == 2
    place = cloud.uri("kept/iris/AllTraffic/")
    until(lambda: cloud.storage.list(place), 20)
    assert deploy(iris, "destroy", "--yes") == 0
    lines = [line for uri in cloud.storage.list(place) for line in cloud.storage.get(uri).splitlines()]
    assert "1" in [json.loads(line)["captureData"]["endpointInput"]["data"].strip() for line in lines]
    cloud.storage.remove(cloud.uri("kept/"))


@pytest.mark.parametrize("cloud_name", ["gcp"])
def test_replicas_follow_the_targets_that_deploy_toml_has(cloud, iris, deploy):
    configure(iris, "\n[endpoint.scaling]\nmin = 1\nmax = 3\ncpu = 70\n")
    assert deploy(iris) == 0
    (deployed,) = cloud.endpoints.get_endpoint(name=ENDPOINT).deployed_models
    resources = deployed.dedicated_resources
    assert (resources.min_replica_count, resources.max_replica_count) == (1, 3)
    assert [
        (one.metric_name.rpartition("online/")[2], one.target) for one in resources.autoscaling_metric_specs
    ] == [("cpu/utilization", 70)]


VARIANT = {
    "ServiceNamespace": "sagemaker",
    "ResourceId": "endpoint/iris/variant/AllTraffic",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}


def target(cloud):
    return cloud.local.client("application-autoscaling")


def scaled(cloud):
    found = target(cloud).describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    return [(one["MinCapacity"], one["MaxCapacity"]) for one in found]


def alarms(cloud):
    found = cloud.local.client("cloudwatch").describe_alarms(AlarmNamePrefix="iris-")["MetricAlarms"]
    return [one["AlarmName"] for one in found]
