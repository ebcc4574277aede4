"""The conditions of a statement, operator by operator."""

import pytest

from infra.local.iam import conditions
from infra.local.iam.conditions import Unknown

TYPES = "sagemaker:InstanceTypes"


def holds(operator, key, wanted, *found):
    return conditions.hold({operator: {key: wanted}}, {key.lower(): found} if found else {})


@pytest.mark.parametrize(
    ("operator", "wanted", "found", "expected"),
    [
        ("StringEquals", "a", "a", True),
        ("StringEquals", ["b", "a"], "a", True),
        ("StringEquals", "a", "A", False),
        ("StringEquals", "a*", "ab", False),
        ("StringNotEquals", "a", "b", True),
        ("StringNotEquals", ["a", "b"], "b", False),
        ("StringEqualsIgnoreCase", "a", "A", True),
        ("StringNotEqualsIgnoreCase", "a", "A", False),
        ("StringLike", "ml.m*.large", "ml.m7i.large", True),
        ("StringLike", "ml.m?.large", "ml.m7i.large", False),
        ("StringNotLike", "ml.p*", "ml.p5.48xlarge", False),
        ("ArnLike", "arn:aws:sagemaker:*:1:*", "arn:aws:sagemaker:eu-west-1:1:model/a", True),
        ("ArnEquals", "arn:aws:sagemaker:*:1:model/a", "arn:aws:sagemaker:eu-west-1:1:model/a", True),
        ("ArnLike", "arn:aws:sagemaker:*:1:*", "arn:aws:sagemaker:eu-west-1:2:model/1:1:x", False),
        ("ArnNotLike", "arn:aws:sagemaker:*:1:*", "arn:aws:s3:::b", True),
        ("Bool", True, "true", True),
        ("Bool", "false", "true", False),
        ("NumericEquals", "10", "10.0", True),
        ("NumericLessThan", 10, "9", True),
        ("NumericLessThan", 10, "10", False),
        ("NumericLessThanEquals", "10", "10", True),
        ("NumericGreaterThan", "10", "11", True),
        ("NumericGreaterThanEquals", "10", "9", False),
        ("NumericNotEquals", "10", "9", True),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2029-12-31T23:59:59Z", True),
        ("DateGreaterThan", "2030-01-01", "2029-12-31T23:59:59Z", False),
        ("DateEquals", "1893456000", "2030-01-01T00:00:00+00:00", True),
        ("IpAddress", "127.0.0.0/8", "127.0.0.1", True),
        ("NotIpAddress", ["10.0.0.0/8", "127.0.0.1"], "127.0.0.1", False),
    ],
)
def test_an_operator_compares(operator, wanted, found, expected):
    assert holds(operator, "aws:username", wanted, found) is expected


@pytest.mark.parametrize(
    ("operator", "expected"),
    [
        ("StringEquals", False),
        ("StringNotEquals", True),
        ("StringEqualsIfExists", True),
        ("Bool", False),
        ("NumericNotEquals", True),
        ("ForAllValues:StringLike", True),
        ("ForAnyValue:StringLike", False),
        ("ForAnyValue:StringNotLike", False),
    ],
)
def test_a_key_that_the_request_does_not_have(operator, expected):
    assert holds(operator, "aws:username", "1") is expected


def test_null_asks_whether_a_key_is_there():
    assert holds("Null", "aws:username", "true")
    assert not holds("Null", "aws:username", "true", "ann")
    assert holds("Null", "aws:username", False, "ann")


@pytest.mark.parametrize(
    ("operator", "found", "expected"),
    [
        ("ForAllValues:StringLike", ("ml.m5.large", "ml.c5.large"), True),
        ("ForAllValues:StringLike", ("ml.m5.large", "ml.p5.48xlarge"), False),
        ("ForAnyValue:StringLike", ("ml.m5.large", "ml.p5.48xlarge"), True),
        ("ForAnyValue:StringLike", ("ml.p5.48xlarge",), False),
        ("ForAllValues:StringNotLike", ("ml.p5.48xlarge",), True),
        ("ForAllValues:StringNotLike", ("ml.m5.large", "ml.p5.48xlarge"), False),
        ("ForAnyValue:StringNotLike", ("ml.m5.large", "ml.p5.48xlarge"), True),
    ],
)
def test_a_key_of_several_values(operator, found, expected):
    assert holds(operator, TYPES, ["ml.m*", "ml.c*"], *found) is expected


def test_every_condition_must_hold():
    block = {"StringEquals": {"aws:username": "ann", "aws:RequestedRegion": "eu-west-1"}}
    context = {"aws:username": ("ann",), "aws:requestedregion": ("eu-west-1",)}
    assert conditions.hold(block, context)
    assert not conditions.hold(block, {**context, "aws:username": ("bob",)})
    assert not conditions.hold({**block, "Bool": {"aws:SecureTransport": "true"}}, context)


def test_tags_are_keys_of_any_name():
    block = {"StringEquals": {"aws:RequestTag/Team": "a"}}
    assert conditions.hold(block, {"aws:requesttag/team": ("a",)})


@pytest.mark.parametrize(
    ("operator", "key", "value"),
    [
        ("StringSoundsLike", "aws:username", "a"),
        ("ForSomeValues:StringLike", "aws:username", "a"),
        ("StringEquals", "sagemaker:MoonPhase", "full"),
        ("NumericLessThan", "aws:username", "many"),
        ("DateLessThan", "aws:username", "tomorrow"),
        ("IpAddress", "aws:username", "here"),
        ("Null", "sagemaker:MoonPhase", "true"),
    ],
)
def test_what_cannot_be_judged_is_said(operator, key, value):
    with pytest.raises(Unknown):
        holds(operator, key, value, "1")
