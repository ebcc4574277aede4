"""Who is behind an access key, and how a refusal is told.

moto is changed for good by what asks it, so that it is asked in a process of its own.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.errors import AwsError
from infra.local.iam import refusals
from infra.local.iam.calls import Asked

ROOT = Path(__file__).parents[4]
EXPIRED = """
import dataclasses, datetime
from moto.sts.models import sts_backends
from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.iam import principals

sts = sts_backends["123456789012"]["aws"]
given = dict(region_name="us-east-1", role_session_name="me", policy=None, duration=900, external_id=None)
session = sts.assume_role(role_arn="arn:aws:iam::123456789012:role/r", **given)
caller = Caller("123456789012", "us-east-1", session.access_key_id)
print(principals.of_caller(caller, session.session_token).who.arn)
print(principals.of_caller(dataclasses.replace(caller, access_key="local"), "").is_administrator)
session.expiration -= datetime.timedelta(seconds=901)
try:
    principals.of_caller(caller, session.session_token)
except AwsError as error:
    print(error)
"""
QUERY = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
JSON = {"x-amz-target": "SageMaker.ListModels"}


def test_a_session_ends_with_its_time():
    command = [sys.executable, "-W", "ignore", "-c", EXPIRED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == [
        "arn:aws:sts::123456789012:assumed-role/r/me",
        "True",
        "ExpiredToken: The security token included in the request is expired",
    ], done.stderr


@pytest.mark.parametrize(
    ("service", "headers", "code", "answer"),
    [
        ("sagemaker", JSON, "ExpiredToken", (400, b'"ExpiredTokenException"')),
        ("sagemaker", JSON, "InvalidClientTokenId", (400, b'"UnrecognizedClientException"')),
        ("sagemaker", JSON, "AccessDenied", (400, b'"AccessDeniedException"')),
        ("sts", QUERY, "ExpiredToken", (403, b"<Code>ExpiredToken</Code>")),
        ("sts", QUERY, "AccessDenied", (403, b"<Code>AccessDenied</Code>")),
        ("s3", {}, "ExpiredToken", (400, b"<Code>ExpiredToken</Code>")),
        ("s3", {}, "InvalidClientTokenId", (403, b"<Code>InvalidAccessKeyId</Code>")),
        ("s3", {}, "AccessDenied", (403, b"<Code>AccessDenied</Code>")),
    ],
)
def test_a_refusal_has_the_form_and_the_code_of_its_protocol(service, headers, code, answer):
    given = refusals.answer(Asked(service, "POST", "/", headers=headers), AwsError(403, code, "no"))
    assert (given.status, answer[1] in given.body) == (answer[0], True)


def test_a_rest_service_has_the_code_in_a_header():
    asked = Asked("scheduler", "GET", "/schedules/n")
    given = refusals.answer(asked, AwsError(403, "AccessDenied", "no"))
    assert (given.status, dict(given.headers)["x-amzn-errortype"]) == (403, "AccessDeniedException")
