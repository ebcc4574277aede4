"""What is billed on Vertex AI now, by what its own answers say."""

from datetime import UTC, datetime

import pytest
from google.cloud import aiplatform_v1 as vertex

from deploy import config
from deploy.gcp import billing, inventory


@pytest.fixture
def deployed(project, monkeypatch):
    """The machines that are billed while so many replicas of 1 to 3 are available."""

    def billed(available):
        resources = {"min_replica_count": 1, "max_replica_count": 3}
        machine = {"machine_spec": {"machine_type": "n2-standard-2"}}
        model = {"dedicated_resources": {**machine, **resources}}
        status = {"status": {"available_replica_count": available}}
        when = {"create_time": datetime(2026, 11, 1, tzinfo=UTC)}
        endpoint = vertex.Endpoint(deployed_models=[{**model, **status, **when}])
        monkeypatch.setattr(inventory, "describe", lambda _: endpoint)
        running = billing.running(config.load(project("iris")))
        return [(one.type, one.count, one.most) for one in running.machines]

    return billed


@pytest.mark.parametrize(("available", "count"), [(0, 1), (1, 1), (3, 3)])
def test_the_replicas_that_there_are_now_are_counted(deployed, available, count):
    assert deployed(available) == [("n2-standard-2", count, 3)]
