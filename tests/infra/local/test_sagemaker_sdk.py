"""The SageMaker SDK v3 (sagemaker.core.resources), unmodified, against the local cloud.

It lives in an environment of its own, `.venv-sagemaker`, since it brings 134 packages and 1 GB.
"""

import importlib.util
import json
import os
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).with_name("sagemaker_sdk")
BUILD = "python tests/infra/local/sagemaker_sdk/environment.py"
TELEMETRY_OFF = """\
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


@pytest.fixture(scope="module")
def python(pytestconfig: pytest.Config) -> Path:
    """The Python that has the SDK, in an environment built on first use. CI never goes without it."""
    spec = importlib.util.spec_from_file_location("environment", HERE / "environment.py")
    assert spec is not None
    assert spec.loader is not None
    environment = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(environment)
    try:
        with pytestconfig.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
            environment.build()
    except (subprocess.CalledProcessError, OSError) as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f".venv-sagemaker could not be built ({error}); with a package index: {BUILD}")
    return environment.PYTHON


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
    python: Path, local_cloud: Any, upload: Callable[[float], str], tmp_path: Path
) -> None:
    (tmp_path / "sagemaker.yaml").write_text(TELEMETRY_OFF)
    environment = {
        **local_cloud.shell,
        "HOME": str(tmp_path),
        "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(tmp_path / "sagemaker.yaml"),
        "SAGEMAKER_USER_CONFIG_OVERRIDE": str(tmp_path / "sagemaker.yaml"),
    }
    command = [str(python), str(HERE / "journey.py"), upload(2), upload(10)]
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {
        "answers": [[2, 4], [10, 20]],
        "served": "sdk-2",
        "listed": ["sdk"],
        "left": [],
        "away": [],
    }
