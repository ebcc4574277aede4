"""Rows 4, 6, 8 and 10 of the faults on a platform that does as SageMaker does, with our own runtime."""

import json
import os
import signal

import pytest
from botocore.exceptions import ClientError
from waiting import is_alive

from infra.local.settings import Settings

# Answers a number with its process, after that many seconds; its loader tells who it is. PyDLL keeps the lock
# of the interpreter.
HANDLER = """
import ctypes, os, time
class Handler:
    def load(self, model_dir):
        print("loaded by", os.getpid(), "of", os.getppid(), flush=True)
        LOAD
    def predict(self, instances):
        for one in instances:
            if one == "never in C":
                ctypes.PyDLL(None).sleep(300)
            time.sleep(one)
        return [os.getpid() for one in instances]
"""


def deployed(cloud, load="pass", wait=True, **environment):
    files = {
        "code/handler.py": HANDLER.replace("LOAD", load),
        "code/requirements.txt": "",
        "code/samples.jsonl": "0\n",
    }
    url = cloud.archive(cloud.packed(**files), f"{cloud.name('faulty')}/model.tar.gz")
    model = cloud.model(environment, Image=cloud.kit_image, ModelDataUrl=url)
    return cloud.endpoint(cloud.config(model), wait=wait)


def loaders(cloud, name, times=1):
    """Who loaded the model, and the server that started it, so many times: the log comes in turns."""

    def told():
        lines = [line for line in cloud.log_of(name).splitlines() if "loaded by" in line]
        return [int(word) for line in lines for word in line.split() if word.isdigit()]

    cloud.until(lambda: len(told()) >= 2 * times)
    return told()


def ask(cloud, name, *instances):
    answer = cloud.runtime.invoke_endpoint(
        EndpointName=name, Body=json.dumps(instances), ContentType="application/json"
    )
    return json.loads(answer["Body"].read())


def lost(cloud, name, *instances):
    """The error of a request that is not answered."""
    with pytest.raises(ClientError) as caught:
        ask(cloud, name, *instances)
    return caught.value.response


def test_a_model_that_loads_for_longer_than_the_platform_waits_makes_the_endpoint_failed(cloud):
    """Row 6 of the faults: eight minutes, here as many seconds; the runtime answers /ping 503 meanwhile."""
    assert Settings().startup_health_s == 8 * 60
    name = deployed(cloud, load="time.sleep(600)", wait=False)
    reason = cloud.settled(name, "Failed")["FailureReason"]
    assert "did not pass the ping health check" in reason
    found = loaders(cloud, name)
    assert found
    cloud.until(lambda: not any(map(is_alive, found)))


def test_a_call_for_longer_than_the_platform_waits_is_a_model_error_and_its_worker_is_reclaimed(cloud):
    """Row 8 of the faults: sixty seconds, here three; and what the runtime itself allows, here four."""
    assert Settings().invocation_timeout_s == 60
    name = deployed(cloud, SLIPWAY_WORKERS="1", SLIPWAY_PREDICT_TIMEOUT_S="4")
    (before,) = ask(cloud, name, 0)
    response = lost(cloud, name, 600)
    assert (response["ResponseMetadata"]["HTTPStatusCode"], response["Error"]["Code"]) == (424, "ModelError")
    assert (response["OriginalStatusCode"], "timed out" in response["OriginalMessage"]) == (0, True)
    cloud.until(lambda: not is_alive(before))
    after = cloud.until(lambda: answered(cloud, name))
    assert after != [before]
    # The log is brought in turns, so it may come after the answer.
    cloud.until(lambda: "takes more than 4 s (SLIPWAY_PREDICT_TIMEOUT_S)" in cloud.log_of(name))


def answered(cloud, name):
    try:
        return ask(cloud, name, 0)
    except ClientError:
        return None


def test_a_server_that_cannot_end_in_time_is_killed_and_the_log_says_so(cloud):
    """Row 4 of the faults: its handler never lets go, and it was given a drain that is longer than the
    platform's patience."""
    name = deployed(cloud, SLIPWAY_WORKERS="1", SLIPWAY_DRAIN_S="60")
    found = [*ask(cloud, name, 0), *loaders(cloud, name)]
    assert lost(cloud, name, "never in C")["Error"]["Code"] == "ModelError"
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    assert not any(map(is_alive, found))
    assert "did not end within 2 s of SIGTERM: it was killed" in cloud.log_of(name)


def test_a_container_that_is_killed_for_its_memory_is_started_again(cloud):
    """Row 10 of the faults, where all of the container is ended (137): by the kernel with SIGKILL."""
    name = deployed(cloud, SLIPWAY_WORKERS="1")
    before = ask(cloud, name, 0)
    loader, server = loaders(cloud, name)
    os.kill(server, signal.SIGKILL)
    # Its worker ends with it, but not in the same instant: it may still answer what it has.
    cloud.until(lambda: not is_alive(loader) and not is_alive(before[0]))
    assert cloud.until(lambda: answered(cloud, name)) != before
    assert len(loaders(cloud, name, times=2)) == 4
