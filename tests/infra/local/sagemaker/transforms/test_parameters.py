"""Precedence: the request, then /execution-parameters, then 1, MULTI_RECORD and 6 MB."""

import pytest

from infra.local.sagemaker.transforms.failures import JobFailed
from infra.local.sagemaker.transforms.parameters import Parameters, environment, resolved
from infra.local.sagemaker.transforms.splitting import MIB

ANSWER = {"MaxConcurrentTransforms": 8, "BatchStrategy": "SINGLE_RECORD", "MaxPayloadInMB": 2}


def test_defaults_hold_where_nobody_said_anything():
    assert resolved({}, {}) == Parameters(1, 6, "MULTI_RECORD")


def test_the_container_s_answer_goes_over_the_defaults():
    assert resolved({}, ANSWER) == Parameters(8, 2, "SINGLE_RECORD")
    assert resolved({}, {"MaxPayloadInMB": 3}) == Parameters(1, 3, "MULTI_RECORD")


def test_the_request_goes_over_both_member_by_member():
    request = {"MaxPayloadInMB": 5, "BatchStrategy": "MultiRecord"}
    assert resolved(request, ANSWER) == Parameters(8, 5, "MULTI_RECORD")
    assert resolved({"MaxConcurrentTransforms": 3}, ANSWER) == Parameters(3, 2, "SINGLE_RECORD")


def test_zero_concurrent_transforms_are_as_good_as_unset_and_zero_megabytes_are_no_limit():
    """API_CreateTransformJob."""
    assert resolved({"MaxConcurrentTransforms": 0}, ANSWER).concurrent == 8
    assert resolved({"MaxPayloadInMB": 0}, ANSWER).payload_mb == 0


def test_requests_without_a_limit_have_a_hundred_megabytes_together():
    assert Parameters(1, 0, "MULTI_RECORD").payload_bytes == 100 * MIB
    assert Parameters(16, 0, "MULTI_RECORD").payload_bytes == 6 * MIB
    assert Parameters(1000, 0, "MULTI_RECORD").payload_bytes == MIB
    assert Parameters(16, 7, "MULTI_RECORD").payload_bytes == 7 * MIB


@pytest.mark.parametrize(
    "answer",
    [
        {"MaxConcurrentTransforms": 0},
        {"MaxConcurrentTransforms": "8"},
        {"MaxConcurrentTransforms": True},
        {"MaxPayloadInMB": -1},
        {"MaxPayloadInMB": 2.5},
        {"BatchStrategy": "MultiRecord"},
        {"BatchStrategy": None},
    ],
)
def test_an_answer_that_is_none_is_left_out(answer):
    assert resolved({}, answer) == Parameters(1, 6, "MULTI_RECORD")


def test_together_they_may_not_be_over_a_hundred_megabytes():
    assert resolved({"MaxConcurrentTransforms": 16}, {}).concurrent == 16
    with pytest.raises(JobFailed, match=r"\(17\) \* MaxPayloadInMB \(6\)"):
        resolved({"MaxConcurrentTransforms": 17}, {})
    with pytest.raises(JobFailed):
        resolved({}, {"MaxConcurrentTransforms": 8, "MaxPayloadInMB": 13})


def test_the_container_is_told_of_a_limit_only_where_the_caller_set_it():
    assert environment({}) == {"SAGEMAKER_BATCH": "true"}
    asked = {"MaxPayloadInMB": 0, "BatchStrategy": "SingleRecord", "MaxConcurrentTransforms": 4}
    assert environment(asked) == {
        "SAGEMAKER_BATCH": "true",
        "SAGEMAKER_MAX_PAYLOAD_IN_MB": "0",
        "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD",
        "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS": "4",
    }
