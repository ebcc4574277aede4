"""The SageMaker SDK v3, in an environment of its own, `.venv-sagemaker`: it brings 134 packages and 1 GB."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).with_name("sagemaker_sdk")
TELEMETRY_OFF = """\
SchemaVersion: "1.0"
SageMaker:
  PythonSDK:
    Modules:
      TelemetryOptOut: true
"""


@pytest.fixture
def run_sdk(sdk_python: Path, local_cloud: Any, tmp_path: Path) -> Callable[..., Any]:
    """Runs a program of sagemaker_sdk/ that knows the local cloud alone: the JSON of its last line."""

    def run(program: str, *arguments: str) -> Any:
        (tmp_path / "sagemaker.yaml").write_text(TELEMETRY_OFF)
        environment = {
            **local_cloud.shell,
            "HOME": str(tmp_path),
            "SAGEMAKER_ADMIN_CONFIG_OVERRIDE": str(tmp_path / "sagemaker.yaml"),
            "SAGEMAKER_USER_CONFIG_OVERRIDE": str(tmp_path / "sagemaker.yaml"),
            "SAGEMAKER_VALIDATE_ROLE": "false",
        }
        command = [str(sdk_python), str(HERE / program), *arguments]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return run
