"""Where a deployment's training lies in its bucket, and what its jobs are called. Pure.

All of it is under `<name>/training/`: bundles and checkpoints under digests, and what each job leaves under
the job's own name.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from deploy.batch.places import Remote
from deploy.plan import versioned
from deploy.training.bundles import Bundle
from deploy.training.entries import CODE

NAME_BYTES = 36  # of the deployment's, so that a job's name fits the 63 characters that SageMaker allows


def root(scheme: str, bucket: str, deployment: str) -> Remote:
    """The prefix under which all of the deployment's training lies."""
    return Remote(scheme, bucket, f"{deployment}/training/")


def of_bundle(place: Remote, bundle: Bundle) -> Remote:
    """Where a bundle's files lie below the root: by their digest, so that the address tells the content."""
    kind = "code" if bundle.channel == CODE else "data"
    return place / f"{kind}/{bundle.digest[:12]}/"


def channel_uri(place: Remote, bundle: Bundle) -> str:
    """What a job reads a channel from: the bundle's place, or the prefix where its data lies already."""
    return bundle.uri or str(of_bundle(place, bundle))


def checkpoints(place: Remote, trained: object) -> Remote:
    """Where jobs that train just this keep checkpoints; a later one of them goes on from there."""
    return place / f"checkpoints/{digest(trained)}/"


def digest(params: object) -> str:
    """The 12 digits that stand for these parameters."""
    return versioned("", params).removeprefix("-")


def new_name(deployment: str, trained: str) -> str:
    """The deployment's name, the time to the millisecond, and what is trained (a digest): 63 characters."""
    now = datetime.now(UTC)
    moment = f"{now:%Y%m%d-%H%M%S}-{now.microsecond // 1000:03}"
    return f"{stem(deployment)}-{moment}-{trained[:6]}"


def stem(deployment: str) -> str:
    """What the names of the deployment's jobs begin with, before a '-'."""
    return deployment[:NAME_BYTES].rstrip("-")


def is_named_so(deployment: str, name: str) -> bool:
    """Whether `new_name` could have made this name. Whose the job is, only its tags or labels say."""
    form = re.escape(stem(deployment)) + r"-[0-9]{8}-[0-9]{6}-[0-9]{3}-[0-9a-f]{6}"
    return re.fullmatch(form, name) is not None
