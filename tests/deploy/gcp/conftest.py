"""What is Google Cloud's alone: a project that has no [aws] section, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

for needed in ("google.cloud.aiplatform_v1", "google.cloud.storage", "gcp_storage_emulator"):
    pytest.importorskip(needed)

from clouds.gcp import BUCKET, PROJECT, REGION, forget  # noqa: E402,F401 - skipped first where it is missing

GCP_TOML = f"""\
name = "{{name}}"

[gcp]
project = "{PROJECT}"
region = "{REGION}"
bucket = "{BUCKET}"
image = "{REGION}-docker.pkg.dev/{PROJECT}/slipway/serving:1"
machine_type = "n2-standard-2"
"""


@pytest.fixture
def cloud_name() -> str:
    """No other cloud."""
    return "gcp"


@pytest.fixture
def google(cloud: Any) -> Any:
    """The local cloud, which this process speaks to by its environment alone."""
    return cloud.local


@pytest.fixture
def project(project: Callable[..., Path]) -> Callable[..., Path]:
    """The project that multiplies numbers, with [gcp] as the one section of its file, and the last."""

    def write(name: str = "multiplier", **given: Any) -> Path:
        place = project(name, **given)
        (place / "deploy.toml").write_text(GCP_TOML.format(name=name))
        return place

    return write
