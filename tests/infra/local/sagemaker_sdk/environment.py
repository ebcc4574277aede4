"""Builds `.venv-sagemaker`, the environment that the SageMaker SDK v3 is tested in: 1.5 GB, minutes, once.

Run `python tests/infra/local/sagemaker_sdk/environment.py`. It does nothing when what is there was built from
the same constraints.txt and requirements.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]
PLACE = ROOT / ".venv-sagemaker"
PYTHON = PLACE / "bin" / "python"
CONSTRAINTS = ROOT / "constraints.txt"
REQUIREMENTS = ROOT / "tests" / "requirements-sagemaker.txt"
STAMP = PLACE / "built-from"


def source() -> str:
    """The digest of what the environment is built from."""
    return hashlib.sha256(CONSTRAINTS.read_bytes() + REQUIREMENTS.read_bytes()).hexdigest()


def is_built() -> bool:
    """Whether the environment is there, whole, and from today's pins."""
    return STAMP.is_file() and STAMP.read_text() == source()


def build() -> None:
    """Makes the environment anew unless it is there; a build that was cut short is begun again."""
    if is_built():
        return
    print("building .venv-sagemaker for the SageMaker SDK's tests (1.5 GB, once) …", file=sys.stderr)
    shutil.rmtree(PLACE, ignore_errors=True)
    venv.create(PLACE, with_pip=True)
    # First torch by itself: the SDK needs it, and would bring a CUDA build with it.
    _install("torch")
    _install("-r", str(REQUIREMENTS))
    STAMP.write_text(source())


def _install(*what: str) -> None:
    command = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(CONSTRAINTS), *what], check=True)


if __name__ == "__main__":
    build()
