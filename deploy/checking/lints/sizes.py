"""Bodies and archives against what the platforms take.

Sources: docs.aws.amazon.com/sagemaker/latest/dg/hosting-faqs.html (25 MB; other pages of it say 6 MB),
serverless-endpoints.html (4 MB), async-inference.html (1 GB),
cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type (10 MB dedicated, 1.5 MB shared).
How much an instance's volume holds depends on its type, which no API tells: that is a warning, from 30 GB on.
"""

from __future__ import annotations

from collections.abc import Iterator

from deploy.checking import contracts
from deploy.checking.findings import Finding, error, warning
from deploy.checking.subject import Subject
from deploy.sections import Endpoint

SAMPLES = "samples.jsonl"
# Bytes. Google counts in thousands, the runtime and AWS's model of the API in 1024s.
REAL_TIME, REAL_TIME_OLD, SERVERLESS, ASYNCHRONOUS = 25 * 2**20, 6 * 2**20, 4 * 2**20, 2**30
VERTEX = {"dedicated": 10_000_000, "shared": 1_500_000}
VOLUME = 30 * 10**9
_REAL_TIME = "a SageMaker endpoint"
_SMALLER = "send less in one request, or score such inputs with `make batch-transform`"


def found(subject: Subject) -> Iterator[Finding]:
    """Samples that no endpoint would take, and a model that may fill its disk."""
    path = subject.code / SAMPLES
    lines = path.read_bytes().splitlines() if path.is_file() else []
    for number, line in enumerate(lines, 1):
        place = f"inference/{SAMPLES}:{number}"
        largest = max(len(ask.body) for ask in contracts.asks(line, of_another_server=False))
        yield from _body(subject, place, largest)
    unpacked = sum(path.stat().st_size for path in subject.model.rglob("*") if path.is_file())
    if unpacked > VOLUME:
        value = f"unpacks to {unpacked / 1e9:.0f} GB, and many instances have a volume of 30 GB or less"
        yield warning("build/model", value, "leave out what the handler does not load")


def _body(subject: Subject, place: str, size: int) -> Iterator[Finding]:
    runtime = (subject.config.serving.max_body_mb or 25) * 2**20
    if size > runtime:
        value = f"is {size:,} bytes, and the container takes {runtime:,}"
        yield error(place, value, "raise [serving] max_body_mb")
    for most, who in _limits(subject):
        if size > most:
            yield error(place, f"is {size:,} bytes, and {who} takes {most:,}", _SMALLER)
    if (REAL_TIME, _REAL_TIME) in _limits(subject) and REAL_TIME_OLD < size <= REAL_TIME:
        value = f"is {size:,} bytes: AWS's documents say 25 MB in one place and 6 MB in others"
        yield warning(place, value, "try one such request before you rely on it")


def _limits(subject: Subject) -> list[tuple[int, str]]:
    if subject.cloud == "aws":
        return [_sagemaker_limit(subject.config.endpoint)]
    kind = subject.config.gcp.endpoint
    return [(VERTEX[kind], f"a {kind} endpoint of Vertex AI")]


def _sagemaker_limit(endpoint: Endpoint) -> tuple[int, str]:
    if endpoint.serverless:
        return SERVERLESS, "a serverless endpoint"
    if endpoint.asynchronous:
        return ASYNCHRONOUS, "an asynchronous endpoint"
    return REAL_TIME, _REAL_TIME
