"""How an object, or a whole job, fails, in SageMaker's words where they are known.

Sources: aws/sagemaker-python-sdk issues 753, 1951; amazon-sagemaker-examples issues 821, 1620;
aws/deep-learning-containers issue 586.
"""

from __future__ import annotations

from collections.abc import Collection

NO_RESPONSE = "Unable to get response from algorithm"
BAD_STATUS = "Bad HTTP status received from algorithm: {status}"
TOO_LARGE = "ClientError: Too much data for max payload size ({record})"
CONTAINER_GONE = (
    "AlgorithmError: The model container ended during the job and could not be started again. "
    "Please check CloudWatch logs for this job."
)
SEE_LOGS = "{whose}: See job logs for more information"
ANSWER_CHARACTERS = 2048  # of a container's refusal, in the data log


class FileFailed(Exception):
    """One object has no `.out`; `lines` are for the data log. `client`: its data is at fault."""

    def __init__(self, *lines: str, client: bool) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.client = client


class JobFailed(Exception):
    """The job cannot go on; the message is its FailureReason."""


class Stopped(Exception):
    """The job was stopped, or the local cloud stops."""


def refused(status: int, answer: bytes) -> FileFailed:
    """What an answer other than 200 means: 4xx is the data's fault, with the container's own words."""
    if status // 100 != 4:
        return FileFailed(BAD_STATUS.format(status=status), client=False)
    said = answer.decode("utf-8", "replace")[:ANSWER_CHARACTERS]
    return FileFailed(f"ClientError: {status}", "", "Message:", *said.splitlines(), client=True)


def reason(failed: Collection[FileFailed]) -> str:
    """The FailureReason of a job of whose objects some failed."""
    return SEE_LOGS.format(whose="ClientError" if all(one.client for one in failed) else "AlgorithmError")
