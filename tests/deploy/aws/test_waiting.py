"""An endpoint that moves: what became of it is looked at, and not only what SageMaker calls its state."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deploy import config, rollout
from deploy.aws import alarms, waiting
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


def test_an_alarm_that_put_a_version_back_is_named_with_its_reason(monkeypatch, project):
    class Watch:
        def describe_alarms(self, AlarmNames: list[str]) -> dict[str, Any]:  # noqa: N803 - boto3's word
            states = {"iris-errors-1": "ALARM", "iris-p99-2": "OK"}
            found = [{"AlarmName": name, "StateValue": states[name]} for name in AlarmNames]
            return {"MetricAlarms": [one | {"StateReason": "3 errors"} for one in found]}

    monkeypatch.setattr(alarms.clients, "cloudwatch", lambda region: Watch())
    watched = [{"AlarmName": "iris-errors-1"}, {"AlarmName": "iris-p99-2"}]
    update = {"DeploymentConfig": {"AutoRollbackConfiguration": {"Alarms": watched}}}
    off = alarms.went_off(config.load(project("iris")), update)
    assert off == ["alarm iris-errors-1 went off: 3 errors"]
    assert alarms.went_off(config.load(project("iris")), {}) == []
    with pytest.raises(NotServed, match="did not take new: alarm iris-errors-1 went off: 3 errors .it still"):
        waiting.verify(described("InService"), MOVE, SINCE, off)
