"""What is in the image, and what is not."""

import json

import images
import pytest

# The first test to need it waits for the image to be built.
pytestmark = pytest.mark.timeout(400)
SDKS = {"boto3", "botocore", "sagemaker", "google-cloud-storage", "google-cloud-aiplatform", "moto"}
COMPILERS = ("cc", "gcc", "g++", "c++", "clang", "ld", "as", "make")
INSPECT = """
import importlib.metadata as m, json, os, pathlib, shutil, sys
found = [shutil.which(name) for name in sys.argv[1:]]
print(json.dumps({
    "packages": sorted(d.metadata["Name"].lower() for d in m.distributions()),
    "compilers": [one for one in found if one],
    "files": sorted(str(p) for p in pathlib.Path("/opt/slipway").iterdir()),
    "caches": [str(p) for p in pathlib.Path("/opt/slipway/inference").rglob("__pycache__")],
    "builder": os.path.exists("/build"),
    "python": shutil.which("python3"),
}))
"""


@pytest.fixture(scope="module")
def inside(image):
    command = ("podman", "run", "--rm", "--network=none", "--entrypoint=python3", image, "-c", INSPECT)
    return json.loads(images.run(*command, *COMPILERS).stdout)


@pytest.fixture(scope="module")
def config(image):
    return json.loads(images.run("podman", "image", "inspect", image).stdout)[0]["Config"]


def test_it_holds_the_runtime_and_its_environment_alone(inside):
    assert inside["files"] == [f"/opt/slipway/{name}" for name in ("entrypoint.py", "inference", "python")]
    assert inside["caches"] == []
    assert not inside["builder"]


def test_it_holds_no_sdk_and_no_compiler(inside):
    assert "uvloop" in inside["packages"]
    assert not SDKS & set(inside["packages"])
    assert inside["compilers"] == []


def test_python3_is_the_environment_s_own(inside):
    """A job's program is started by that word. Source: the kit's ContainerEntrypoint."""
    assert inside["python"] == "/opt/slipway/python/bin/python3"


def test_it_is_started_directly_and_listens_on_every_address(config):
    assert config["Entrypoint"] == ["/opt/slipway/python/bin/python", "/opt/slipway/entrypoint.py"]
    assert config["Cmd"] == ["serve"]
    assert config["ExposedPorts"] == {"8080/tcp": {}}
    assert {"SLIPWAY_HOST=0.0.0.0", "PYTHONUNBUFFERED=1", "ORT_DISABLE_TELEMETRY=1"} <= set(config["Env"])


def test_it_says_what_it_is_and_of_what_it_is_made(config):
    labels = config["Labels"]
    assert labels["org.opencontainers.image.title"] == "slipway-serving"
    assert labels["org.opencontainers.image.base.name"] == images.BASE
    assert labels["slipway.device"] == "cpu"


def test_no_build_argument_is_left_in_it(config):
    assert not [line for line in config["Env"] if line.startswith(("PIP_", "TORCH"))]
