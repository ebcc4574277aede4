"""What the documents say of curl, run as it stands there, but for the names of project and endpoint.

gcloud's own command is not run: gcloud cannot be led to the local cloud.
"""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from clouds.gcp import PROJECT

ROOT = Path(__file__).parents[3]
GCLOUD = """\
#!/bin/sh
test "$*" = "auth print-access-token" && echo a-token
"""


def forms(document):
    """The shell commands of a document, one after the other; a backslash joins lines."""
    (block,) = re.findall("^```bash\n(.*?)^```$", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)
    commands = re.sub(r" \\\n +", " ", block).splitlines()
    return [one.replace("my-project", PROJECT).replace("flight-delay", "iris") for one in commands]


@pytest.fixture
def shell(cloud, iris, deploy, tmp_path, capsys):
    """Runs a command in the project's folder; ADDRESS is what `status` says. Returns what was printed."""
    (iris / "request.json").write_text('{"instances": [1, 2.5]}')
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/gcloud").write_text(GCLOUD)
    (tmp_path / "bin/gcloud").chmod(0o755)

    def run(command, **environment):
        capsys.readouterr()
        assert deploy(iris, "status") == 0
        found = re.search(r"^address +(\S+)$", capsys.readouterr().out, re.MULTILINE)
        given = {
            **cloud.local.shell,
            "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}",
            "ADDRESS": found[1] if found else "",
            **environment,
        }
        silent = re.sub("^curl ", "curl --silent --show-error --fail-with-body ", command)
        done = subprocess.run(
            ["bash", "-c", silent], env=given, cwd=iris, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_the_readme_s_command_asks_a_dedicated_endpoint(cloud, iris, deploy, shell):
    assert deploy(iris) == 0
    (command,) = forms("README.md")
    # Google's own certificate needs no word; ours does.
    answer = json.loads(shell(command, CURL_CA_BUNDLE=cloud.local.environment["REQUESTS_CA_BUNDLE"]))
    assert answer["predictions"] == [2, 5.0]


def test_the_local_cloud_s_commands_list_and_ask_either_kind_of_endpoint(iris, deploy, shell):
    listing, dedicated, shared = forms("infra/local/README.md")
    assert deploy(iris) == 0
    listed = json.loads(shell(listing))["endpoints"]
    assert [one["displayName"] for one in listed if one["displayName"] == "iris"] == ["iris"]
    assert json.loads(shell(dedicated))["predictions"] == [2, 5.0]
    assert deploy(iris, "destroy", "--yes") == 0
    with (iris / "deploy.toml").open("a") as file:
        file.write('endpoint = "shared"\n')
    assert deploy(iris) == 0
    assert shell(shared) == "2\n5.0\n"
