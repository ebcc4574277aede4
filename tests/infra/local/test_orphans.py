"""However the local cloud ends, its containers end with it: those too that do not listen and that hide."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from roles import make_role
from waiting import until

ROOT = Path(__file__).parents[3]
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/stubborn:1"
# A container that is healthy, ignores SIGTERM, and has a child in a session of its own that does so too.
STUBBORN = """
import http.server, os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import os, time; os.fork() or (os.setsid(), time.sleep(600))"])
class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Healthy).serve_forever()
"""


def working_under(home: Path) -> list[str]:
    """The processes whose working directory is in that home: the local cloud, and all of its containers."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink().is_relative_to(home):
                found.append(process.name)
        except OSError:  # it ended meanwhile
            continue
    return found


@pytest.fixture
def cloud(start_cloud: Any) -> Any:
    """A local cloud with a stubborn container in service."""
    images = {IMAGE.partition(":")[0]: [sys.executable, "-c", STUBBORN]}
    cloud = start_cloud(SLIPWAY_LOCAL_IMAGES=json.dumps(images), SLIPWAY_LOCAL_STOP_GRACE_S="0.5")
    role = make_role(cloud.client("iam"), "execution")
    sagemaker = cloud.client("sagemaker")
    sagemaker.create_model(ModelName="m", ExecutionRoleArn=role, PrimaryContainer={"Image": IMAGE})
    variant = {
        "VariantName": "A",
        "ModelName": "m",
        "InstanceType": "ml.m7i.large",
        "InitialInstanceCount": 1,
    }
    sagemaker.create_endpoint_config(EndpointConfigName="c", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="e", EndpointConfigName="c")
    until(lambda: sagemaker.describe_endpoint(EndpointName="e")["EndpointStatus"] == "InService")
    until(lambda: len(working_under(cloud.home)) >= 4)  # itself, the init, the container, its hidden child
    return cloud


def command(cloud: Any, word: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "infra.local", word]
    return subprocess.run(argv, env=cloud.shell, cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_killed_with_9_it_leaves_no_process(cloud: Any) -> None:
    os.kill(cloud.pid, signal.SIGKILL)
    until(lambda: not working_under(cloud.home))


def test_status_names_the_endpoint_and_down_leaves_no_process(cloud: Any) -> None:
    assert command(cloud, "status").stdout.splitlines()[1:] == [
        "containers by process",
        "e  InService  us-east-1  account 123456789012",
    ]
    assert command(cloud, "down").returncode == 0
    assert working_under(cloud.home) == []
