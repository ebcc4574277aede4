"""Names of outputs and shares of inputs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.sagemaker.transforms import inputs

ROOT = Path(__file__).parents[5]
LISTED = """
import io, pathlib, sys
from infra.local.cloud import Caller
from infra.local.records import Records
from infra.local.sagemaker.transforms import inputs
from infra.local.settings import Settings

cloud, caller = Records(Settings(home=pathlib.Path(sys.argv[1])), 0), Caller("123456789012", "us-east-1")
cloud.make_bucket(caller, "bucket")
for number in range(2100):
    cloud.put_object(caller, "bucket", f"in/{number % 7}/{number:04}", io.BytesIO(b"1"))
source = {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/in/"}
request = {
    "TransformInput": {"DataSource": {"S3DataSource": source}},
    "TransformOutput": {"S3OutputPath": "s3://bucket/out"},
}
found = inputs.found(cloud, caller, request)
print(len(found), len({one.output for one in found}), found == tuple(sorted(found, key=lambda one: one.key)))
print(found[-1])
"""


@pytest.mark.parametrize(
    ("prefix", "key", "kept"),
    [
        ("in/", "in/a.csv", "a.csv"),
        ("in/", "in/deep/er/a.csv", "deep/er/a.csv"),
        ("in/a.csv", "in/a.csv", "a.csv"),
        ("a.csv", "a.csv", "a.csv"),
        ("in/part-", "in/part-1.csv", "part-1.csv"),
        ("in", "in/a.csv", "in/a.csv"),  # as API_TransformOutput's example keeps "input-name-prefix"
        ("", "in/a.csv", "in/a.csv"),
    ],
)
def test_an_output_keeps_what_follows_the_prefix_s_last_slash(prefix, key, kept):
    assert inputs.relative(key, prefix) == kept


def test_output_is_the_path_the_name_and_out():
    assert inputs.output_key("out", "a/b.csv") == "out/a/b.csv.out"
    assert inputs.output_key("out/", "b.csv") == "out/b.csv.out"
    assert inputs.output_key("", "b.csv") == "b.csv.out"


def test_all_objects_below_a_prefix_are_found_though_a_listing_has_a_thousand(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LISTED, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines() == [
        "2100 2100 True",
        "Source(bucket='bucket', key='in/6/2099', output='out/6/2099.out')",
    ], done.stderr


def test_objects_are_shared_out_over_instances_each_to_one():
    sources = [inputs.Source("b", str(number), "") for number in range(7)]
    shares = [inputs.share(sources, number, 3) for number in range(3)]
    assert sorted(len(share) for share in shares) == [2, 2, 3]
    assert sorted(one.key for share in shares for one in share) == [one.key for one in sources]
