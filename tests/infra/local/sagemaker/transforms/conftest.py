"""Transform jobs on the local cloud, in a few words."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

BUCKET = "batches-of-the-tests"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/batchbox:1"
GROUP = "/aws/sagemaker/TransformJobs"
MOVING = ("InProgress", "Stopping")


@dataclass
class Jobs:
    """Makes inputs and jobs, and reads what became of them."""

    cloud: Any

    def put(self, files: dict[str, bytes]) -> str:
        """Uploads files under a prefix of their own, which ends with a slash; its s3:// URL."""
        prefix = self.cloud.name("in") + "/"
        for name, body in files.items():
            self.cloud.client("s3").put_object(Bucket=BUCKET, Key=prefix + name, Body=body)
        return f"s3://{BUCKET}/{prefix}"

    def request(self, url: str, model: dict[str, str] | None = None, **given: Any) -> dict[str, Any]:
        """CreateTransformJob's request: lines in, lines out; `given` members go over it, one level deep."""
        name = given.get("TransformJobName") or self.cloud.name("job")
        asked: dict[str, Any] = {
            "TransformJobName": name,
            "TransformInput": {
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": url}},
                "SplitType": "Line",
            },
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/out/{name}", "AssembleWith": "Line"},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        }
        for member, value in given.items():
            asked[member] = {**asked.get(member, {}), **value} if isinstance(value, dict) else value
        asked.setdefault("ModelName", "")
        asked["ModelName"] = asked["ModelName"] or self.cloud.model(model, Image=IMAGE)
        return asked

    def start(self, url: str, model: dict[str, str] | None = None, **given: Any) -> str:
        """Starts a job and returns its name."""
        asked = self.request(url, model, **given)
        self.cloud.sagemaker.create_transform_job(**asked)
        return asked["TransformJobName"]

    def ended(self, name: str) -> dict[str, Any]:
        """DescribeTransformJob's answer once the job is at rest."""
        return self.cloud.until(lambda: self._at_rest(name), 30)

    def _at_rest(self, name: str) -> dict[str, Any] | None:
        described = self.cloud.sagemaker.describe_transform_job(TransformJobName=name)
        return None if described["TransformJobStatus"] in MOVING else described

    def run(self, url: str, model: dict[str, str] | None = None, **given: Any) -> str:
        """Runs a job that must complete and returns its name."""
        name = self.start(url, model, **given)
        described = self.ended(name)
        assert described["TransformJobStatus"] == "Completed", (described, self.data_log(name))
        return name

    def failed(self, url: str, model: dict[str, str] | None = None, **given: Any) -> str:
        """Runs a job that must fail and returns its name."""
        name = self.start(url, model, **given)
        described = self.ended(name)
        assert described["TransformJobStatus"] == "Failed", described
        return name

    def outputs(self, name: str) -> dict[str, bytes]:
        """What lies under the job's output path, by the rest of its key."""
        s3, prefix = self.cloud.client("s3"), f"out/{name}/"
        found = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        keys = [one["Key"] for one in found]
        return {
            key.removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys
        }

    def streams(self, name: str) -> dict[str, list[str]]:
        """The lines of each of the job's log streams."""
        logs = self.cloud.client("logs")
        try:
            found = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
        except logs.exceptions.ResourceNotFoundException:
            return {}
        names = [one["logStreamName"] for one in found["logStreams"]]
        return {one: self._lines(one) for one in names}

    def _lines(self, stream: str) -> list[str]:
        logs, lines, more = self.cloud.client("logs"), [], {}
        while True:
            page = logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **more)
            if not page["events"]:
                return lines
            lines += [event["message"] for event in page["events"]]
            more = {"nextToken": page["nextForwardToken"]}

    def data_log(self, name: str) -> list[str]:
        """The job's data-log lines without their times, instance by instance."""
        lines = [
            line
            for stream, lines in sorted(self.streams(name).items())
            for line in lines
            if stream.endswith("/data-log")
        ]
        return [line.partition(":[sagemaker logs]: ")[2] for line in lines]

    def requests(self, name: str) -> list[dict[str, Any]]:
        """What the job's containers were asked, in the order in which they answered."""
        return [
            json.loads(line.removeprefix("request "))
            for lines in self.streams(name).values()
            for line in lines
            if line.startswith("request ")
        ]


@pytest.fixture(scope="session")
def jobs(cloud: Any) -> Jobs:
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    return Jobs(cloud)
