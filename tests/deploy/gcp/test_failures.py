"""What goes wrong on Vertex AI, told in sentences; what served before goes on serving."""

import subprocess
import sys
from pathlib import Path

import pytest
from google.cloud.aiplatform_v1 import Endpoint
from waiting import until

from deploy import config, gcp
from deploy.gcp import clients, inventory
from deploy.plan import Change
from deploy.target import Refused

ROOT = Path(__file__).parents[3]
PLACE = "projects/slipway-tests/locations/us-central1"
BROKEN = """\
class Handler:
    def load(self, model_dir):
        raise RuntimeError("no weights here")

    def predict(self, inputs):
        return inputs
"""


def test_a_first_version_that_never_gets_healthy_leaves_nothing(project, deploy, held, capsys):
    assert deploy(project("iris", handler=BROKEN)) == 1
    told = capsys.readouterr().err
    assert "endpoint 'iris' did not take iris-" in told and "it serves nothing" in told
    assert "RuntimeError: no weights here" in told
    assert held("iris") == set()


def test_a_version_that_fails_leaves_the_one_before_serving(iris, deploy, held, asked, capsys):
    assert deploy(iris) == 0
    before = held("iris")
    (iris / "inference/handler.py").write_text(BROKEN)
    capsys.readouterr()
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert "it still serves iris-" in told
    assert "the container printed:" in told and "RuntimeError: no weights here" in told
    assert held("iris") == before
    assert asked(iris) == 2


def test_an_endpoint_of_somebody_else_is_left_alone(iris, deploy, held, asked, weighed, capsys):
    assert deploy(iris) == 0
    name = f"{PLACE}/endpoints/iris"
    labelled(name, {})
    before = held("iris")
    capsys.readouterr()
    assert deploy(weighed(iris, 3)) == 1
    assert "endpoint 'iris' is there already and is not this deployment's" in capsys.readouterr().err
    assert held("iris") == before
    assert asked(iris) == 2
    labelled(name, {"slipway-deployment": "iris"})


def labelled(name, labels):
    endpoint = Endpoint(name=name, labels=labels)
    mask = {"paths": ["labels"]}
    clients.endpoints("us-central1").update_endpoint(request={"endpoint": endpoint, "update_mask": mask})


def test_an_endpoint_that_was_deleted_with_its_model_still_there_is_made_again(iris, deploy, held):
    assert deploy(iris) == 0
    before = held("iris")
    client = clients.endpoints("us-central1")
    (one,) = client.get_endpoint(name=f"{PLACE}/endpoints/iris").deployed_models
    client.undeploy_model(endpoint=f"{PLACE}/endpoints/iris", deployed_model_id=one.id).result(30)
    client.delete_endpoint(name=f"{PLACE}/endpoints/iris").result(30)
    assert deploy(iris) == 0
    assert held("iris") == before


def test_what_the_container_refuses_is_told_in_its_words(iris, deploy, tmp_path, capsys):
    assert deploy(iris) == 0
    (tmp_path / "wrong.json").write_text("{")
    capsys.readouterr()
    assert deploy(iris, "invoke", "--body", str(tmp_path / "wrong.json")) == 1
    assert "error: the container answered 400: " in capsys.readouterr().err


def test_a_body_above_the_limit_is_told(iris, deploy, tmp_path, capsys):
    assert deploy(iris) == 0
    (tmp_path / "large.csv").write_bytes(b"1\n" * 5_000_001)
    capsys.readouterr()
    assert deploy(iris, "invoke", "--body", str(tmp_path / "large.csv")) == 1
    assert "Request payload size exceeds the limit: 10000000 bytes. (400)" in capsys.readouterr().err


def test_an_endpoint_that_is_not_there_cannot_be_asked(project, deploy, capsys):
    assert deploy(project("iris"), "invoke") == 1
    assert "error: endpoint 'iris' is not there: `deploy-endpoint` makes it\n" in capsys.readouterr().err


def test_a_bucket_of_another_project_is_refused(project, deploy, held, google, capsys):
    place = project("iris")
    theirs = clients.bucket_client("slipway-tests").create_bucket("slipway-squatted", project="somebody-else")
    (place / "deploy.toml").write_text(
        (place / "deploy.toml").read_text().replace("slipway-tests-gcp", "slipway-squatted")
    )
    for verb in ("deploy-endpoint", "plan", "destroy"):
        assert deploy(place, verb, "--yes") == 1
        told = capsys.readouterr().err
        assert "bucket 'slipway-squatted' is not one of project slipway-tests" in told
    assert list(theirs.list_blobs()) == []
    theirs.delete()


def test_what_is_changed_by_somebody_else_is_left_to_them(iris, deploy, google, held, asked):
    slow = iris / "inference/handler.py"
    assert deploy(iris) == 0
    at_first = slow.read_text()
    slow.write_text(at_first.replace("def load", "import time; time.sleep(4)\n\n    def load"))
    command = [sys.executable, "-m", "deploy", "deploy-endpoint", "--cloud", "gcp", "--project", str(iris)]
    with subprocess.Popen(command, env=google.shell, stdout=subprocess.PIPE, cwd=ROOT) as first:
        settings = config.load(iris)
        until(lambda: inventory.running(settings), 60)
        (version,) = (r.version for r in inventory.endpoint(settings))
        change = Change("update", gcp.endpoint(settings, version))
        with pytest.raises(Refused, match="endpoint 'iris' is being changed by somebody else"):
            gcp.apply(settings, change, lambda state: None)
        first.communicate(timeout=60)
    assert first.returncode == 0
    assert asked(iris) == 2


def test_an_endpoint_that_has_no_model_yet_gets_one(iris, deploy, asked):
    """What is left of a first deploy that was killed after it had made the endpoint."""
    made = gcp.endpoint(config.load(iris), "any")
    clients.endpoints("us-central1").create_endpoint(request=made.params).result(30)
    assert deploy(iris) == 0
    assert asked(iris) == 2


def test_destroy_takes_an_endpoint_whose_traffic_is_split(iris, deploy, held):
    assert deploy(iris) == 0
    client, name = clients.endpoints("us-central1"), f"{PLACE}/endpoints/iris"
    (one,) = client.get_endpoint(name=name).deployed_models
    resources = {"machine_spec": {"machine_type": "n2-standard-2"}, "min_replica_count": 1}
    again = {"model": one.model, "dedicated_resources": resources}
    split = {"0": 40, one.id: 60}
    client.deploy_model(endpoint=name, deployed_model=again, traffic_split=split).result(30)
    assert deploy(iris, "destroy", "--yes") == 0
    assert held("iris") == set()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("slipway-tests-gcp", "nobody-has-this"), "bucket 'nobody-has-this' is not there: create it in"),
        (("us-central1", "us-central9"), "Permission denied on 'locations/us-central9'"),
        (('name = "iris"', 'name = "Iris"'), "name is 'Iris', expected a-z, 0-9 and '-', a letter first"),
        (("[gcp]", "[gpc]"), "unknown section 'gpc'"),
    ],
)
def test_a_wrong_setting_is_a_sentence_and_changes_nothing(project, deploy, held, capsys, change, said):
    place = project("iris")
    (place / "deploy.toml").write_text((place / "deploy.toml").read_text().replace(*change))
    assert deploy(place) == 1
    assert said in capsys.readouterr().err
    assert held("iris") == set()


@pytest.mark.parametrize("verb", ["train", "batch-transform"])
def test_what_is_not_built_yet_says_so(project, deploy, capsys, verb):
    given = ("--input", "a", "--output", "b") if verb == "batch-transform" else ()
    assert deploy(project("iris"), verb, *given) == 1
    assert capsys.readouterr().err == f"error: CLOUD=gcp: {verb} is not built yet: CLOUD=aws does it\n"


def test_missing_credentials_are_one_sentence(project, deploy, monkeypatch, capsys):
    def none(**_):
        raise clients.DefaultCredentialsError("Your default credentials were not found.")

    clients.credentials.cache_clear()
    for cached in (clients.session, clients.bucket_client, clients.models, clients.endpoints):
        cached.cache_clear()
    monkeypatch.setattr(clients.google.auth, "default", none)
    assert deploy(project("iris"), "status") == 1
    assert "error: no Google credentials were found: log in with `gcloud auth application-default login`" in (
        capsys.readouterr().err
    )


def test_the_program_that_a_deploy_prints_runs_as_it_is(iris, deploy, google, capsys):
    assert deploy(iris) == 0
    program = capsys.readouterr().out.partition("# the same from Python:\n")[2].partition("# end")[0]
    done = subprocess.run(
        [sys.executable, "-c", program], env=google.shell, capture_output=True, text=True, timeout=100
    )
    assert (done.stdout.strip(), done.returncode) == ("2", 0), done.stderr
