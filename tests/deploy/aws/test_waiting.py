"""An endpoint that moves: what became of it is looked at, and not only what SageMaker calls its state."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy import rollout
from deploy.aws import waiting
from deploy.plan import Change, Resource
from deploy.target import CloudError, NotServed

MOVE = Change("update", Resource("endpoint", "iris", "new"))
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def described(status: str, version: str = "old") -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": version}


def test_an_update_that_was_rolled_back_is_no_success_though_it_is_in_service():
    waiting.verify(described("InService", "new"), MOVE, SINCE)
    with pytest.raises(NotServed, match="did not take new: SageMaker gives no reason .it still serves old"):
        waiting.verify(described("InService"), MOVE, SINCE)


def test_a_rollback_that_failed_is_terminal_and_neither_version_is_taken_away():
    with pytest.raises(CloudError, match="is UpdateRollbackFailed: it serves a mix of two versions") as stuck:
        waiting.verify(described("UpdateRollbackFailed"), MOVE, SINCE)
    done = [Change("create", Resource("endpoint_config", "new"))]
    assert rollout.made_in_vain(done, MOVE, stuck.value) == []
