"""SageMaker's own constraints and the words in which they are refused."""

import pytest

from infra.local.errors import AwsError
from infra.local.sagemaker import constraints


def refusal(operation, **request):
    with pytest.raises(AwsError) as caught:
        constraints.check(operation, request)
    assert (caught.value.status, caught.value.code) == (400, "ValidationException")
    return caught.value.message


def test_a_request_within_its_constraints_passes():
    constraints.check("CreateEndpoint", {"EndpointName": "a-b", "EndpointConfigName": "c"})
    constraints.check("ListEndpoints", {"MaxResults": 100, "CreationTimeAfter": 0.5})


def test_a_missing_member_must_not_be_null():
    assert refusal("CreateEndpoint", EndpointName="a") == (
        "1 validation error detected: Value null at 'endpointConfigName' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_several_violations_are_counted_and_told_together():
    said = refusal("CreateEndpoint", EndpointName="a" * 64, EndpointConfigName="c_d")
    assert said.startswith("3 validation errors detected: Value 'aaa")
    assert "Member must have length less than or equal to 63; " in said
    assert (
        "Value 'c_d' at 'endpointConfigName' failed to satisfy constraint: Member must satisfy regular"
        in said
    )


def test_ranges_are_those_of_the_service():
    assert "greater than or equal to 1" in refusal("ListEndpoints", MaxResults=0)
    assert "less than or equal to 100" in refusal("ListEndpoints", MaxResults=101)


def test_a_map_s_values_and_keys_are_told_by_their_rules():
    container = {"Image": "x", "Environment": {"K": "v" * 1025}}
    said = refusal("CreateModel", ModelName="m", PrimaryContainer=container)
    assert "at 'primaryContainer.environment' failed to satisfy constraint: Map value must satisfy" in said
    assert "[Member must have length less than or equal to 1024" in said


def test_a_list_s_members_are_numbered_from_one():
    request = {
        "ResourceArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m",
        "Tags": [{"Key": "k", "Value": "v"}],
    }
    constraints.check("AddTags", request)
    request["Tags"].append({"Key": "k" * 129, "Value": ""})
    assert "at 'tags.2.member.key'" in refusal("AddTags", **request)


@pytest.mark.parametrize(
    ("member", "value", "said"),
    [
        ("TransformJobName", 7, "transformJobName: expected type string, not '7'"),
        ("TransformInput", "x", "transformInput: expected type structure, not 'x'"),
        ("TransformInput", {"SplitType": []}, "transformInput.splitType: expected type string, not '[]'"),
        ("MaxPayloadInMB", "6", "maxPayloadInMB: expected type integer, not '6'"),
        ("MaxPayloadInMB", True, "maxPayloadInMB: expected type integer, not 'True'"),
        ("MaxPayloadInMB", 1.5, "maxPayloadInMB: expected type integer, not '1.5'"),
        ("Environment", {"A": 1}, "environment: expected type string, not '1'"),
        ("Environment", [], "environment: expected type map, not '[]'"),
        ("Tags", [None], "tags.1.member: expected type structure, not 'None'"),
    ],
)
def test_a_member_of_another_type_is_refused_before_anything_looks_at_it(member, value, said):
    with pytest.raises(AwsError) as caught:
        constraints.check("CreateTransformJob", {member: value})
    assert (caught.value.code, caught.value.message) == ("SerializationException", said)
