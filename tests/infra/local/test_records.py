"""The account's records, asked without HTTP.

Each in a process of its own, since moto is changed there for good.
"""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
BEGIN = """
import dataclasses, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.records import NewRole, Question, Records
from infra.local.settings import Settings
records = Records(dataclasses.replace(Settings(), home=Path(sys.argv[1])), 1)
caller = Caller("123456789012", "us-east-1")
service = {"Service": ["sagemaker.amazonaws.com"]}
trust = {"Statement": {"Effect": "Allow", "Principal": service, "Action": "sts:AssumeRole"}}
records.make_role(caller, NewRole("executor", "/", trust))
ROLE = "arn:aws:iam::123456789012:role/executor"
"""
MODEL = """
records.moto(caller, "CreateModel", {"ModelName": "m", "ExecutionRoleArn": ROLE})
described = records.moto(caller, "DescribeModel", {"ModelName": "m"})
print(described["ModelName"], [name for name, value in described.items() if value in ({}, None, "")])
print(records.moto(caller, "ListEndpoints", {}))
"""
REFUSED = """
for operation in ("DescribeModel", "UpdateEndpoint"):
    try:
        records.moto(caller, operation, {"ModelName": "none", "EndpointName": "none"})
    except AwsError as error:
        print(error.status, error.code)
"""
# With a pause between moto's look and its write, where threads would meet.
CONDITIONAL = """
from moto.s3.models import S3Backend
put = S3Backend.put_object
S3Backend.put_object = lambda self, *args, **kwargs: (time.sleep(0.05), put(self, *args, **kwargs))[1]
records.make_bucket(caller, "bucket")
signed = "AWS4-HMAC-SHA256 Credential=local/20000101/us-east-1/s3/aws4_request, Signature=0"
question = Question("PUT", "/bucket/lock", [("authorization", signed), ("if-none-match", "*")])
with ThreadPoolExecutor(4) as threads:
    replies = threads.map(lambda _: records.ask(caller, "s3", question), range(4))
    print(sorted(reply.status for reply in replies))
"""
TRUST = """
print(records.role_trusts(caller, ROLE, "sagemaker.amazonaws.com"))
print(records.role_trusts(caller, ROLE, "lambda.amazonaws.com"))
print(records.role_trusts(caller, ROLE + "s", "sagemaker.amazonaws.com"))
print(records.role_trusts(Caller("999999999999", "us-east-1"), ROLE, "sagemaker.amazonaws.com"))
"""


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param(MODEL, ["m []", "{'Endpoints': []}"], id="what moto leaves empty is not described"),
        pytest.param(
            REFUSED, ["400 ValidationException", "400 UnknownOperationException"], id="refusals are AwsErrors"
        ),
        pytest.param(CONDITIONAL, ["[200, 412, 412, 412]"], id="of conditional writes at once one succeeds"),
        pytest.param(TRUST, ["True", "False", "False", "False"], id="a role trusts whom its policy names"),
    ],
)
def test_the_records_answer_as_the_account_would(program: str, expected: list[str], tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", BEGIN + program, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines() == expected, done.stderr
