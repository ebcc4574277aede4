"""The SageMaker SDK v3 (sagemaker.core.resources), unmodified, against the local cloud."""

import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def upload(local_cloud: Any, project: Callable[..., Path], tmp_path: Path) -> Callable[[float], str]:
    """Uploads an archive of a handler that multiplies by the factor; its s3:// URL."""

    def archive(factor: float) -> str:
        place, packed = project(f"sdk-{factor}", factor), tmp_path / "model.tar.gz"
        with tarfile.open(packed, "w:gz") as tar:
            tar.add(place / "build/model/weights.json", "weights.json")
            tar.add(place / "inference/handler.py", "code/handler.py")
        local_cloud.client("s3").upload_file(str(packed), "slipway-tests", f"sdk/{factor}/model.tar.gz")
        return f"s3://slipway-tests/sdk/{factor}/model.tar.gz"

    return archive


@pytest.mark.timeout(1800)  # the environment's own building included
def test_model_config_and_endpoint_are_made_waited_for_invoked_updated_and_deleted(
    run_sdk: Callable[..., Any], upload: Callable[[float], str]
) -> None:
    assert run_sdk("journey.py", upload(2), upload(10)) == {
        "answers": [[2, 4], [10, 20]],
        "served": "sdk-2",
        "listed": ["sdk"],
        "left": [],
        "away": [],
    }
