"""Who uses AWS alone needs nothing of Google's, also with a section [gcp] in deploy.toml."""

import json
import os
import site
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import clean_environment, exports

ROOT = Path(__file__).parents[3]
FOREIGN = ("google", "gcp_storage_emulator", "grpc", "proto", "psutil")
GCP = """
[gcp]
project = "slipway-tests"
region = "us-central1"
bucket = "slipway-tests-gcp"
image = "us-central1-docker.pkg.dev/slipway-tests/slipway/serving:1"
machine_type = "n2-standard-2"
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has all that the tests' own has, but for Google's packages."""
    place = tmp_path_factory.mktemp("without-google")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True, timeout=60)
    (packages,) = place.glob("lib/python*/site-packages")
    for here in filter(Path.is_dir, map(Path, site.getsitepackages())):
        for one in here.iterdir():
            if not one.name.startswith(FOREIGN) and one.suffix != ".pth":
                (packages / one.name).symlink_to(one)
    return place / "bin" / "python"


@pytest.fixture
def place(project: Callable[..., Path]) -> Path:
    made = project("of-aws-alone")
    (made / "deploy.toml").write_text((made / "deploy.toml").read_text() + GCP)
    return made


def ran(python: Path, *words: str, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [str(python), *words]
    return subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=110)


def test_a_section_for_google_stands_in_nobody_s_way(python: Path, place: Path, tmp_path: Path) -> None:
    home = {"SLIPWAY_LOCAL_HOME": str(tmp_path / "home"), "SLIPWAY_LOCAL_PORT": "0"}
    environment: dict[str, Any] = {**clean_environment(), **home, "PATH": os.environ["PATH"]}
    try:
        said = ran(python, "-m", "infra.local", "env", "--project", str(place), environment=environment)
        assert said.returncode == 0, said.stderr
        assert "bucket slipway-tests" in said.stderr
        assert "not made ready" not in said.stderr
        pointed = {**environment, **exports(said.stdout)}
        assert "STORAGE_EMULATOR_HOST" not in exports(said.stdout)
        plan = ("-m", "deploy", "plan", "--project", str(place), "--cloud")
        aws = ran(python, *plan, "aws", environment=pointed)
        assert aws.returncode == 0, aws.stderr
        assert "create  endpoint" in aws.stdout
        gcp = ran(python, *plan, "gcp", environment=pointed)
        assert (gcp.returncode, "Traceback" in gcp.stderr) == (1, False)
        assert gcp.stderr.startswith("error: CLOUD=gcp needs google")
    finally:
        ran(python, "-m", "infra.local", "down", environment=environment)


def test_a_request_of_google_s_is_told_what_is_missing(python: Path, tmp_path: Path) -> None:
    asked = (
        "import json\nfrom infra.local.settings import Settings\nfrom pathlib import Path\n"
        "from infra.local.vertex.storage import Request, Storage\n"
        f"storage = Storage(Path({str(tmp_path)!r}))\n"
        "answer = storage.answer(Request('GET', '/storage/v1/b/x/o'))\n"
        "print(json.dumps([answer.status, json.loads(answer.body)['error']['message']]))"
    )
    done = ran(python, "-c", asked, environment={**clean_environment(), "PYTHONPATH": str(ROOT)})
    status, message = json.loads(done.stdout)
    assert status == 501
    assert "-r infra/local/requirements-gcp.txt" in message
