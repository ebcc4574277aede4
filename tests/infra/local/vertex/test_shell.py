"""What `python -m infra.local env` gives a shell for Google's SDKs."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[4]
PROGRAM = """
import json, os
from google.cloud import aiplatform, storage
bucket = storage.Client().get_bucket("made-for-the-project")
bucket.blob("x").upload_from_string("y")
aiplatform.init(
    location="europe-west4",
    api_endpoint=os.environ["CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM"].rstrip("/"),
    api_transport="rest",
)
endpoint = aiplatform.Endpoint.create(display_name="e", dedicated_endpoint_enabled=True)
try:
    endpoint.predict(instances=[1])
except ValueError as error:
    project = aiplatform.initializer.global_config.project
    print(json.dumps({"name": endpoint.resource_name, "said": str(error), "project": project}))
"""


def test_the_default_credentials_and_clients_reach_the_local_cloud_and_no_other(tmp_path):
    (tmp_path / "deploy.toml").write_text(
        '[gcp]\nproject = "project-of-mine"\nregion = "europe-west4"\nbucket = "made-for-the-project"\n'
    )
    environ = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("SLIPWAY_", "AWS_"))},
        "SLIPWAY_LOCAL_HOME": str(tmp_path / "home"),
        "SLIPWAY_LOCAL_PORT": "0",
        "PYTHONPATH": str(ROOT),
        "HOME": str(tmp_path),
        "GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "of-the-user.json"),
        "GOOGLE_CLOUD_PROJECT": "another",
        "https_proxy": "http://127.0.0.1:9",
    }

    def run(*command):
        done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    local = (sys.executable, "-m", "infra.local")
    try:
        said = run(*local, "env", "--project", str(tmp_path))
        words = dict(re.findall(r"^export (\w+)=(.*)$", said, re.MULTILINE))
        environ.update({name: "".join(shlex.split(value)) for name, value in words.items()})
        seen = json.loads(run(sys.executable, "-c", PROGRAM).splitlines()[-1])
    finally:
        run(*local, "down")
    assert seen["project"] == "project-of-mine"
    assert "/locations/europe-west4/endpoints/" in seen["name"]
    assert "doesn't have traffic_split" in seen["said"]
    bundle = Path(words["REQUESTS_CA_BUNDLE"]).read_text()
    assert bundle.count("BEGIN CERTIFICATE") > 50, "the world's certificates are trusted as before"
