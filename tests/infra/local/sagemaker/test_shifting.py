"""A DeploymentConfig as steps."""

import math

import pytest

from infra.local.errors import AwsError
from infra.local.sagemaker.shifting import Step, check, plan_of

WAIT, TERMINATION = "WaitIntervalInSeconds", "TerminationWaitInSeconds"


def size(value, kind="CAPACITY_PERCENT"):
    return {"Type": kind, "Value": value}


def blue_green(kind="ALL_AT_ONCE", wait=300, **routing):
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **routing}
    return {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": 60}}


def rolling(value, kind="CAPACITY_PERCENT"):
    return {"RollingUpdatePolicy": {"MaximumBatchSize": size(value, kind), "WaitIntervalInSeconds": 120}}


def test_without_a_configuration_all_traffic_goes_over_at_once_and_nothing_bakes():
    assert plan_of(None, 3).steps == (Step(1.0, 3, 0, TERMINATION),)
    assert plan_of(None, 3).limit_s == math.inf


def test_all_at_once_bakes_for_the_termination_wait():
    assert plan_of(blue_green(), 2).steps == (Step(1.0, 2, 60, TERMINATION),)


@pytest.mark.parametrize(
    ("given", "count", "step"),
    [
        (size(30), 10, Step(0.3, 3, 300, WAIT)),
        (size(30), 3, Step(0.3, 1, 300, WAIT)),
        (size(10), 1, Step(0.1, 1, 300, WAIT)),
        (size(1, "INSTANCE_COUNT"), 4, Step(0.25, 1, 300, WAIT)),
    ],
)
def test_a_canary_is_one_step_before_the_rest(given, count, step):
    plan = plan_of(blue_green("CANARY", CanarySize=given), count)
    assert plan.steps == (step, Step(1.0, count, 60, TERMINATION))


@pytest.mark.parametrize(
    ("given", "count", "shares"),
    [
        (size(20), 5, [0.2, 0.4, 0.6, 0.8, 1.0]),
        (size(33), 3, [0.33, 0.66, 0.99, 1.0]),
        (size(50), 2, [0.5, 1.0]),
        (size(1, "INSTANCE_COUNT"), 3, [1 / 3, 2 / 3, 1.0]),
    ],
)
def test_linear_shifts_equal_parts(given, count, shares):
    steps = plan_of(blue_green("LINEAR", LinearStepSize=given), count).steps
    assert [step.share for step in steps] == pytest.approx(shares)
    assert [step.named for step in steps] == [WAIT] * (len(shares) - 1) + [TERMINATION]


@pytest.mark.parametrize(
    ("config", "batches"),
    [(rolling(50), [2, 4]), (rolling(40), [2, 4]), (rolling(1, "INSTANCE_COUNT"), [1, 2, 3, 4])],
)
def test_rolling_replaces_batch_by_batch_and_bakes_after_each(config, batches):
    plan = plan_of(config, 4)
    assert plan.is_rolling
    assert [(step.instances, step.share, step.bake_s) for step in plan.steps] == [
        (batch, batch / 4, 120) for batch in batches
    ]


def test_alarms_and_the_time_limit_are_the_configuration_s():
    config = {
        **rolling(50),
        "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}, {"AlarmName": "b"}]},
    }
    config["RollingUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 900
    plan = plan_of(config, 4)
    assert (plan.alarms, plan.limit_s) == (("a", "b"), 900)


@pytest.mark.parametrize(
    ("config", "count", "said"),
    [
        ({**blue_green(), **rolling(50)}, 2, "only one of"),
        (blue_green("CANARY"), 2, "canarySize: needed for the type CANARY"),
        (blue_green("LINEAR"), 2, "linearStepSize: needed for the type LINEAR"),
        (blue_green("LINEAR", CanarySize=size(10)), 2, "only for the type CANARY, not LINEAR"),
        (blue_green("CANARY", CanarySize=size(51)), 2, "51% of the fleet, not 1 to 50%"),
        (blue_green("CANARY", CanarySize=size(2, "INSTANCE_COUNT")), 3, "of 3 instances is 67% of the fleet"),
        (
            blue_green("CANARY", CanarySize=size(1, "INSTANCE_COUNT")),
            1,
            "of 1 instances is 100% of the fleet",
        ),
        (blue_green("LINEAR", LinearStepSize=size(9)), 2, "not 10 to 50%"),
        (rolling(4), 2, "not 5 to 50%"),
    ],
)
def test_what_the_platform_rules_out_is_refused(config, count, said):
    with pytest.raises(AwsError, match=said) as caught:
        check(config, count)
    assert (caught.value.status, caught.value.code) == (400, "ValidationException")


def test_a_time_limit_below_the_waits_is_refused():
    config = blue_green("LINEAR", LinearStepSize=size(10))
    config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 2759
    with pytest.raises(AwsError, match="2759, less than the 2760 seconds"):
        check(config, 10)
    config["BlueGreenUpdatePolicy"]["MaximumExecutionTimeoutInSeconds"] = 2760
    check(config, 10)
