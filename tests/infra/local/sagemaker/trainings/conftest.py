"""Training jobs of tiny scripts on the shared local cloud."""

import io
import tarfile
import textwrap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from waiting import until

ROOT = Path(__file__).parents[5]
GROUP = "/aws/sagemaker/TrainingJobs"
# Runs the script itself, in place of what an image does with `train`.
PLAIN = {"ContainerEntrypoint": ["python3", "/opt/ml/input/data/code/train.py"]}
SAVES = """
    import os, pathlib
    pathlib.Path(os.environ["SM_MODEL_DIR"], "weights").write_text("trained")
"""


@dataclass
class Trainer:
    """Starts jobs and looks at what becomes of them."""

    cloud: Any

    def put(self, key: str, body: str | bytes = "") -> str:
        """Puts an object and returns its URL."""
        self.cloud.client("s3").put_object(Bucket=self.cloud.bucket, Key=key, Body=body)
        return f"s3://{self.cloud.bucket}/{key}"

    def channel(self, name: str, url: str, kind: str = "S3Prefix", **given: Any) -> dict[str, Any]:
        return {
            "ChannelName": name,
            "DataSource": {"S3DataSource": {"S3DataType": kind, "S3Uri": url}},
            **given,
        }

    def code(self, name: str, script: str, **files: str) -> dict[str, Any]:
        """The channel with the script, launch.py and other files."""
        self.put(f"{name}/code/launch.py", (ROOT / "training" / "launch.py").read_bytes())
        for path, text in {"train.py": script, **files}.items():
            self.put(f"{name}/code/{path}", textwrap.dedent(text))
        return self.channel("code", f"s3://{self.cloud.bucket}/{name}/code/")

    def request(self, name: str, *channels: dict[str, Any], **given: Any) -> dict[str, Any]:
        """A request; what is given takes the place of, or joins, what every job has."""
        algorithm = {"TrainingImage": self.cloud.image, "TrainingInputMode": "File"}
        return {
            "TrainingJobName": name,
            "AlgorithmSpecification": {**algorithm, **given.pop("algorithm", {})},
            "RoleArn": self.cloud.role,
            **({"InputDataConfig": list(channels)} if channels else {}),
            "OutputDataConfig": {"S3OutputPath": f"s3://{self.cloud.bucket}/made"},
            "ResourceConfig": {"InstanceType": "ml.m7i.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
            **given,
        }

    def start(self, script: str, *channels: dict[str, Any], **given: Any) -> str:
        """Starts a job with that script and returns its name."""
        name = self.cloud.name("job")
        code = self.code(name, script, **given.pop("files", {}))
        self.cloud.sagemaker.create_training_job(**self.request(name, code, *channels, **given))
        return name

    def describe(self, name: str) -> dict[str, Any]:
        return self.cloud.sagemaker.describe_training_job(TrainingJobName=name)

    def ended(self, name: str, status: str = "Completed") -> dict[str, Any]:
        """DescribeTrainingJob's answer once the job is at rest, which must be in that state."""
        found: dict[str, Any] = until(lambda: self._at_rest(name))
        assert found["TrainingJobStatus"] == status, (found, self.log(name))
        return found

    def _at_rest(self, name: str) -> dict[str, Any] | None:
        found = self.describe(name)
        return None if found["TrainingJobStatus"] in ("InProgress", "Stopping") else found

    def said(self, name: str, word: str) -> None:
        """Waits until the job's log has the word."""
        until(lambda: word in self.log(name))

    def streams(self, name: str) -> list[str]:
        """The names of the job's log streams."""
        logs = self.cloud.client("logs")
        try:
            found = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{name}/")
        except logs.exceptions.ResourceNotFoundException:
            return []
        return [one["logStreamName"] for one in found["logStreams"]]

    def log(self, name: str) -> str:
        """All that the job said; "" before the first line."""
        streams = self.streams(name)
        if not streams:
            return ""
        found = self.cloud.client("logs").filter_log_events(logGroupName=GROUP, logStreamNames=streams)
        return "\n".join(event["message"] for event in found["events"])

    def keys(self, prefix: str) -> list[str]:
        found = self.cloud.client("s3").list_objects_v2(Bucket=self.cloud.bucket, Prefix=prefix)
        return [one["Key"].removeprefix(prefix) for one in found.get("Contents", [])]

    def archive(self, name: str, archive: str = "model.tar.gz") -> dict[str, bytes]:
        """The files in an archive that the job left."""
        key = f"made/{name}/output/{archive}"
        body = self.cloud.client("s3").get_object(Bucket=self.cloud.bucket, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            return {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr] # files alone


@pytest.fixture(scope="session")
def trainer(cloud: Any) -> Trainer:
    return Trainer(cloud)
