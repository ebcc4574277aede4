"""EventBridge Scheduler made true: moto keeps the schedules, and here their time comes.

Of what a schedule may do, this does what a deployment needs: once, at a moment, an operation of SageMaker's,
in the name of its role. All else is refused by name when the schedule is made.
"""

from __future__ import annotations

import io
import json
import logging
import re
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from moto.scheduler.models import Schedule, scheduler_backends

from infra.local.cloud import Caller, Operation
from infra.local.errors import AwsError
from infra.local.iam import demands
from infra.local.iam.calls import Call
from infra.local.records import Question, Records, Reply

SERVICE = "scheduler.amazonaws.com"
LOOK_EVERY_S = 0.25
FIRST_WAIT_S, LONGEST_WAIT_S = 1.0, 60.0  # between tries of what was refused
# Source: docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets-universal.html
_TARGET = re.compile(r"arn:aws[a-z-]*:scheduler:::aws-sdk:sagemaker:(?P<operation>[a-zA-Z]+)")
# Source: docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
_AT = re.compile(r"at\((?P<moment>[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})\)")
_SCHEDULE = re.compile(r"/schedules/(?P<name>[^/]+)")
log = logging.getLogger(__name__)


@dataclass
class _Tries:
    """What became of a schedule whose time has come, as it was last changed at `stamp`."""

    stamp: float
    count: int = 0
    again_at: float = 0.0
    over: bool = False


class Schedules:
    """The service."""

    def __init__(self, records: Records, sagemaker: Mapping[str, Operation]) -> None:
        self._records, self._sagemaker = records, sagemaker
        self._tries: dict[str, _Tries] = {}
        self._started = threading.Lock()
        self._running = False

    def answer(self, caller: Caller, question: Question) -> Reply:
        """The answer to a request: moto's, unless the schedule could not be run. Raises AwsError."""
        body = question.body.read()
        if question.method in ("POST", "PUT") and _SCHEDULE.fullmatch(question.path):
            self._check(caller, json.loads(body or b"{}"))
            self._start()
        return self._records.ask(caller, "scheduler", replace(question, body=io.BytesIO(body)))

    def _check(self, caller: Caller, asked: Mapping[str, Any]) -> None:
        expression, target = str(asked.get("ScheduleExpression", "")), asked.get("Target", {})
        moment = _moment(expression, asked.get("ScheduleExpressionTimezone", "UTC"))
        if moment is None or moment <= time.time():
            # AWS refuses a moment that has gone by with the same words.
            raise _refused(f"Invalid Schedule Expression {expression}.")
        found = _TARGET.fullmatch(target.get("Arn", ""))
        if not found or _name(found["operation"]) not in self._sagemaker:
            raise _refused(f"The local cloud runs operations of SageMaker's alone, not {target.get('Arn')}.")
        group = f"arn:aws:scheduler:{caller.region}:{caller.account}:schedule-group/default"
        if not self._records.role_trusts(caller, target.get("RoleArn", ""), SERVICE, group):
            raise _refused(
                "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."
            )

    def _start(self) -> None:
        with self._started:
            if not self._running:
                self._running = True
                threading.Thread(target=self._watch, name="schedules", daemon=True).start()

    def _watch(self) -> None:
        while True:
            for caller, schedule in _due(time.time()):
                try:
                    self._try(caller, schedule)
                except Exception:
                    log.exception("schedule %s", schedule.name)
            time.sleep(LOOK_EVERY_S)

    def _try(self, caller: Caller, schedule: Schedule) -> None:
        tries = self._tries.get(schedule.arn)
        if tries is None or tries.stamp != schedule.last_modified_date:
            tries = self._tries[schedule.arn] = _Tries(schedule.last_modified_date)
        if tries.over or time.time() < tries.again_at:
            return
        tries.count += 1
        try:
            self._run(caller, schedule.target)
        except AwsError as error:
            log.info("schedule %s, try %d: %s", schedule.name, tries.count, error)
            tries.over = tries.count > schedule.target["RetryPolicy"].get("MaximumRetryAttempts", 185)
            tries.again_at = time.time() + min(LONGEST_WAIT_S, FIRST_WAIT_S * 2 ** (tries.count - 1))
        else:
            tries.over = True
            log.info("schedule %s: done", schedule.name)
        if tries.over and schedule.action_after_completion == "DELETE":
            group = scheduler_backends[caller.account][caller.region].schedule_groups[schedule.group_name]
            group.schedules.pop(schedule.name, None)

    def _run(self, caller: Caller, target: Mapping[str, Any]) -> None:
        """The target's operation, if its role may do that. Raises AwsError."""
        found = _TARGET.fullmatch(target["Arn"])
        assert found is not None
        operation, payload = _name(found["operation"]), json.loads(target.get("Input") or "{}")
        call = Call("sagemaker", operation, payload, caller.account, caller.region, "aws", {})
        acting = caller.assuming(target["RoleArn"])
        self._records.authority.require_of_role(acting, *demands.of_call(call))
        self._sagemaker[operation](caller, payload)


def _due(now: float) -> Iterator[tuple[Caller, Schedule]]:
    """The schedules that are on and whose moment has come, in every account and region."""
    for account, regions in list(scheduler_backends.items()):
        for region, backend in list(regions.items()):
            groups = list(backend.schedule_groups.values())
            for schedule in (one for group in groups for one in list(group.schedules.values())):
                moment = _moment(schedule.schedule_expression, schedule.schedule_expression_timezone)
                # moto forgets the state in an update that names none, which means that it is on.
                if schedule.state != "DISABLED" and moment is not None and moment <= now:
                    yield Caller(account, region), schedule


def _moment(expression: str, zone: str) -> float | None:
    """When a one-time schedule's time comes, in seconds since 1970; None of any other expression."""
    found = _AT.fullmatch(expression)
    if not found:
        return None
    try:
        return datetime.fromisoformat(found["moment"]).replace(tzinfo=ZoneInfo(zone)).timestamp()
    except (ValueError, ZoneInfoNotFoundError):
        return None


def _name(operation: str) -> str:
    return operation[:1].upper() + operation[1:]


def _refused(message: str) -> AwsError:
    return AwsError(400, "ValidationException", message)
