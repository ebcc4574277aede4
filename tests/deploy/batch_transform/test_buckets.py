"""Input that lies in a bucket, results that go to one, and whose bucket it is."""

import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from clouds import stored

# What listens to an SDK's own events, or looks at what SageMaker alone does file by file.
on_aws = pytest.mark.parametrize("cloud_name", ["aws"])


@on_aws
def test_a_parquet_object_is_counted_without_fetching_it_whole(scored, out, results, cloud, fresh):
    body = io.BytesIO()
    pq.write_table(pa.table({"x": list(range(50_000))}), body, compression="none")
    cloud.storage.put(cloud.uri("results/a.parquet"), body.getvalue())
    fetched: list[int] = []
    fresh().events.register(
        "after-call.s3.GetObject", lambda parsed, **_: fetched.append(parsed.get("ContentLength", 0))
    )
    assert scored(source=f"{results}/a.parquet") == 0
    lines = out()["a.parquet.out"].splitlines()
    assert (len(lines), lines[-1]) == (50_000, "99998")
    # The footer's length, the footer, and the result.
    assert sum(fetched[:2]) < 0.01 * len(body.getvalue())
    assert len(fetched) == 3


def test_from_bucket_to_bucket(scored, out, results, jobs, cloud, capsys):
    bodies = {"a.jsonl": "1\n2\n", "sub/b.jsonl": '3\n\n"bad"\n', "_SUCCESS": "", "sub/": ""}
    for name, body in bodies.items():
        cloud.storage.put(cloud.uri(f"given/{name}"), body)
    cloud.storage.put(cloud.uri("given-2/c.jsonl"), "9\n")
    places = {"source": cloud.uri("given"), "output": results}
    assert scored("--on-error", "keep", **places) == 0
    found = stored(cloud, "results/")
    assert set(found) == {"a.jsonl.out", "sub/b.jsonl.out", "sub/b.jsonl.errors.jsonl", "report.json"}
    assert found["a.jsonl.out"] == "2\n4\n"
    assert json.loads(found["sub/b.jsonl.errors.jsonl"])["line"] == 3
    assert json.loads(found["report.json"])["rows_failed"] == 1
    assert stored(cloud, "iris/batch/") == {}
    assert scored("--on-error", "keep", **places) == 0
    assert len(jobs()) == 1
    # One object, brought here.
    assert scored(source=cloud.uri("given/a.jsonl")) == 0
    assert out() == {"a.jsonl.out": "2\n4\n"}


def test_from_here_to_a_bucket_and_another_run_takes_its_place(scored, wrote, results, jobs, cloud):
    wrote({"a.jsonl": "1\n", "b.jsonl": "2\n"})
    assert scored(output=results) == 0
    wrote({"a.jsonl": "5\n"})
    assert scored(output=results) == 0
    found = stored(cloud, "results/")
    assert (found["a.jsonl.out"], found["b.jsonl.out"]) == ("10\n", "4\n")
    # The first run again: what lies there is the second's, so it is scored anew.
    wrote({"a.jsonl": "1\n"})
    assert scored(output=results) == 0
    assert stored(cloud, "results/")["a.jsonl.out"] == "2\n"
    assert len(jobs()) == 3


def test_a_bucket_of_another_account_is_refused(scored, wrote, jobs, cloud, capsys):
    if cloud.name == "aws":
        cloud.local.client("s3", account="999999999999").create_bucket(Bucket="slipway-theirs")
        theirs, said = "s3://slipway-theirs", "belongs to another account than 123456789012"
    else:
        cloud.client.create_bucket("slipway-theirs-gcp", project="somebody-else")
        theirs, said = "gs://slipway-theirs-gcp", "the bucket is not one of project slipway-tests: whoever"
    wrote({"a.jsonl": "1\n"})
    for places in ({"output": f"{theirs}/out"}, {"source": f"{theirs}/in"}):
        assert scored(**places) == 1
        assert said in capsys.readouterr().err
    assert jobs() == []


@on_aws
def test_every_call_of_s3_names_the_account_that_must_own_the_bucket(scored, wrote, results, fresh):
    wrote({"a.jsonl": '1\n"bad"\n', "b.jsonl": "1\n"})
    owners: dict[str, set[str | None]] = {}

    def note(model: Any, params: Any, **_: Any) -> None:
        owners.setdefault(model.name, set()).add(params["headers"].get("x-amz-expected-bucket-owner"))

    fresh().events.register("before-call.s3", note)
    assert scored("--on-error", "keep", output=results) == 0
    assert scored(output=results) == 1
    assert {"HeadBucket", "PutObject", "GetObject", "ListObjectsV2", "DeleteObjects"} <= set(owners)
    assert {name for name, found in owners.items() if found != {"123456789012"}} == set()
