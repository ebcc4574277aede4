"""The states of Vertex AI's jobs, of every kind, in the words that `deploy.target` and `deploy.batch` have.

Source: cloud.google.com/vertex-ai/docs/reference/rest/v1/JobState
"""

from __future__ import annotations

from typing import Any

PREFIX = "JOB_STATE_"
MOVING = {"InProgress", "Stopping"}
# In a list's filter: what may still be moving. It takes few states by name, so each is looked at again.
UNENDED = " AND ".join(f'state!="{PREFIX}{word}"' for word in ("SUCCEEDED", "FAILED", "CANCELLED"))
_WORDS = {
    "SUCCEEDED": "Completed",
    "PARTIALLY_SUCCEEDED": "Completed",
    "FAILED": "Failed",
    "EXPIRED": "Failed",
    "CANCELLING": "Stopping",
    "CANCELLED": "Stopped",
}


def own(state: Any) -> str:
    """Vertex AI's own word for a JobState, such as PENDING."""
    return str(state.name).removeprefix(PREFIX)


def word(state: Any) -> str:
    """SageMaker's word for a JobState: InProgress, Completed, Failed, Stopping or Stopped."""
    return _WORDS.get(own(state), "InProgress")
