"""Replicas of a deployed model come with the load and go when it is quiet, between the bounds that it has."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from google.cloud import aiplatform
from waiting import is_alive, until

from infra.local.vertex import cputimes

MASK = ["dedicated_resources.min_replica_count", "dedicated_resources.max_replica_count"]
# Of one core's worth a fifth is above the target, and a tenth of two replicas' below it, on any machine.
TARGET = max(1, 20 // cputimes.cores())
SECONDS = 40


def deployed(google, environment=None, **counts):
    endpoint = google.endpoint()
    model = google.model(environment)
    given = {"machine_type": "n1-standard-2", "autoscaling_target_cpu_utilization": TARGET, **counts}
    endpoint.deploy(model, **given)
    return endpoint


def status(endpoint):
    """The DeployedModel's, as GetEndpoint has it now."""
    (model,) = endpoint.list_models()
    return model.status


def count(endpoint):
    return status(endpoint).available_replica_count


def process(endpoint, **orders):
    """The id of the process that answers."""
    return endpoint.predict(instances=[{**orders, "tell": True}, {"tell": True}]).predictions[1]["pid"]


@contextmanager
def load(endpoint):
    """Two callers who keep the replicas busy: the processes that answered them. Every answer must be good."""
    pids, failures, done = set(), [], threading.Event()

    def call():
        while not done.is_set():
            try:
                pids.add(process(endpoint, burn=0.1))
            except Exception as error:
                failures.append(error)
                return

    callers = [threading.Thread(target=call) for _ in range(2)]
    for caller in callers:
        caller.start()
    try:
        yield pids
    finally:
        done.set()
        for caller in callers:
            caller.join()
    assert not failures


def mutate(endpoint, least, most):
    """MutateDeployedModel, until it is done."""
    (model,) = endpoint.list_models()
    resources = {"min_replica_count": least, "max_replica_count": most}
    client = aiplatform.initializer.global_config.create_client(aiplatform.utils.EndpointClientWithOverride)
    request = {
        "endpoint": endpoint.resource_name,
        "deployed_model": {"id": model.id, "dedicated_resources": resources},
        "update_mask": {"paths": MASK},
    }
    return client.mutate_deployed_model(request=request).result(30).deployed_model


def folders_of(deployed_model_id):
    """The homes of the containers that run for it."""
    found, mine = set(), f"AIP_DEPLOYED_MODEL_ID={deployed_model_id}".encode()
    for place in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if mine in variables:
            found |= {one for one in variables if one.startswith(b"HOME=")}
    return found


def test_a_replica_comes_with_the_load_and_goes_when_it_is_quiet(google):
    endpoint = deployed(google, min_replica_count=1, max_replica_count=2)
    assert count(endpoint) == 1
    with load(endpoint) as pids:
        until(lambda: count(endpoint) == 2, SECONDS)
        until(lambda: len(pids) > 1, SECONDS)
    with ThreadPoolExecutor(2) as callers:  # both are with a request when one of them has to go
        slow = [callers.submit(process, endpoint, sleep=5) for _ in range(2)]
        until(lambda: count(endpoint) == 1, SECONDS)
        there = {one.result() for one in slow}
    assert (len(there), there <= pids) == (2, True)
    until(lambda: sum(map(is_alive, there)) == 1)
    assert process(endpoint) in pids


def test_the_bounds_hold_and_can_be_changed_while_it_runs(google):
    endpoint = deployed(google, min_replica_count=1, max_replica_count=1)
    (model,) = endpoint.list_models()
    with load(endpoint) as pids:
        until(lambda: pids, SECONDS)
        seen = {count(endpoint) for _ in range(60)}
        changed = mutate(endpoint, 1, 2)
        assert changed.dedicated_resources.max_replica_count == 2
        assert changed.dedicated_resources.autoscaling_metric_specs[0].target == TARGET
        until(lambda: count(endpoint) == 2, SECONDS)
        seen |= {len(folders_of(model.id)) for _ in range(60)}
    assert seen == {1, 2}
    assert mutate(endpoint, 3, 3).dedicated_resources.min_replica_count == 3
    assert count(endpoint) == 3
    mutate(endpoint, 1, 3)
    until(lambda: count(endpoint) == 1, SECONDS)


def test_a_replica_that_does_not_start_is_told_and_tried_again_and_the_others_serve(google, tmp_path):
    broken = tmp_path / "broken"
    endpoint = deployed(google, {"FAILS_WHERE": str(broken)}, min_replica_count=1, max_replica_count=2)
    broken.touch()
    with load(endpoint) as pids:
        until(lambda: "no such weights" in status(endpoint).message, SECONDS)
        until(lambda: pids, SECONDS)
        assert count(endpoint) == 1
        broken.unlink()
        until(lambda: count(endpoint) == 2, SECONDS)
        assert status(endpoint).message == ""


@pytest.mark.parametrize("delete", [True, False])
def test_no_replica_outlives_the_deployed_model_though_one_is_starting(google, delete):
    endpoint = deployed(google, {"START_S": "1.5"}, min_replica_count=1, max_replica_count=2)
    (model,) = endpoint.list_models()
    with load(endpoint):
        until(lambda: len(folders_of(model.id)) == 2, SECONDS)
    if delete:
        endpoint.delete(force=True)
    else:
        endpoint.undeploy(model.id)
    assert folders_of(model.id) == set()
