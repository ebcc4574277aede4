"""What a person gets wrong on Google Cloud, and what Google refuses: a sentence that says what to do."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from clouds.gcp import PLACE, forget
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.api_core.exceptions import RetryError, ServiceUnavailable

from deploy import config
from deploy.gcp import clients, errors
from deploy.target import CloudError


def edited(place, *changes):
    """The project with these replacements in its deploy.toml; one without a second part is put at its end."""
    file = place / "deploy.toml"
    text = file.read_text()
    for old, new in changes:
        assert not old or old in text
        text = text.replace(old, new) if old else text + new
    file.write_text(text)
    return place


def endpoint_of(cloud, name="iris"):
    return cloud.endpoints.get_endpoint(name=f"{PLACE}/endpoints/{name}")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("timeout_s = 3601", "[gcp]: timeout_s is 3601, expected seconds that a prediction may take, 1 to"),
        (
            'timeout_s = 9\nendpoint = "shared"',
            "[gcp]: timeout_s is 9, expected none with a shared endpoint",
        ),
        ('endpoint = "private"', "[gcp]: endpoint is 'private', expected \"dedicated\" (bodies to 10 MB)"),
        ("min_replicas = 0", "[gcp]: min_replicas is 0, expected a whole number of at least 1"),
        ("max_replicas = 1\nmin_replicas = 2", "[gcp]: max_replicas is 1, expected at least min_replicas"),
        ('accelerator_type = "NVIDIA_L4"', "[gcp]: accelerator_type and accelerator_count go together"),
        ("accelerator_count = 1", "[gcp]: accelerator_type and accelerator_count go together"),
        ('accelerator_type = "T4"', "[gcp]: accelerator_type is 'T4', expected one of Vertex AI's"),
        (
            'accelerator_type = "NVIDIA_L4"\naccelerator_count = 1',
            "[gcp]: machine_type is 'n2-standard-2', which takes no accelerator: expected one such as",
        ),
        ("[gcp.labels]\nTeam = 'x'", "[gcp.labels]: 'Team' is no label's name, expected 1 to 63 small"),
        ("[gcp.labels]\nslipway-x = 'x'", "[gcp.labels]: slipway-x is reserved"),
        ("[gcp.labels]\nteam = 'A team'", "[gcp.labels]: team is 'A team', expected at most 63 small"),
        ("[gcp.labels]\nteam = 7", "[gcp.labels]: team is 7, expected at most 63 small letters"),
        (
            "[gcp.labels]\n" + "".join(f"n{at} = ''\n" for at in range(57)),
            "[gcp.labels]: 57 labels, expected at most 56",
        ),
        ("labels = 'x'", "[gcp]: labels is 'x', expected a section of names and values"),
    ],
)
def test_a_wrong_setting_is_told_before_anything_leaves_the_machine(project, more, said):
    with pytest.raises(config.ConfigError) as refused:
        config.load(edited(project("iris"), ("", more)))
    lines = str(refused.value).splitlines()
    assert all(line.startswith("deploy.toml: ") for line in lines)
    assert any(said in line for line in lines)


def test_what_vertex_has_of_settings_is_taken(project):
    more = '\naccelerator_type = "NVIDIA_L4"\naccelerator_count = 2\ntimeout_s = 3600\n'
    labels = "[gcp.labels]\nteam = ''\ncost-centre = '7_a'\n'ключ' = 'значение'\n"
    found = config.load(edited(project("iris"), ("n2-standard-2", "g2-standard-4"), ("", more + labels)))
    assert (found.gcp.accelerator_count, found.gcp.timeout_s) == (2, 3600)
    assert found.gcp.labels == {"team": "", "cost-centre": "7_a", "ключ": "значение"}


def test_timeout_and_labels_are_the_version_s_and_come_back_with_it(iris, cloud, deploy, held):
    edited(iris, ("", 'timeout_s = 900\n[gcp.labels]\nteam = "forecasts"\n'))
    assert deploy(iris) == 0
    first = endpoint_of(cloud)
    assert dict(first.labels) == {"slipway-deployment": "iris", "team": "forecasts"}
    assert first.client_connection_config.inference_timeout.total_seconds() == 900
    edited(iris, ("timeout_s = 900\n", ""), ('team = "forecasts"', 'owner = "me"'))
    assert deploy(iris) == 0
    second = endpoint_of(cloud)
    assert dict(second.labels) == {"slipway-deployment": "iris", "owner": "me"}
    assert second.client_connection_config.inference_timeout.total_seconds() == 600, "Vertex AI's own"
    assert deploy(iris, "rollback") == 0
    assert dict(endpoint_of(cloud).labels) == dict(first.labels)
    assert endpoint_of(cloud).client_connection_config == first.client_connection_config
    assert deploy(iris, "destroy", "--yes") == 0
    assert held("iris") == set()


def test_a_change_of_labels_alone_is_a_change(iris, cloud, deploy, asked, capsys):
    assert deploy(iris) == 0
    edited(iris, ("", '[gcp.labels]\nteam = "forecasts"\n'))
    assert deploy(iris) == 0
    assert endpoint_of(cloud).labels["team"] == "forecasts"
    capsys.readouterr()
    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert asked(iris) == 2


def test_accelerators_reach_the_machine_and_are_told(iris, cloud, deploy, capsys):
    accelerator = 'accelerator_type = "NVIDIA_L4"\naccelerator_count = 2\nmax_replicas = 3\n'
    edited(iris, ("n2-standard-2", "g2-standard-24"), ("", accelerator))
    assert deploy(iris) == 0
    (deployed,) = endpoint_of(cloud).deployed_models
    spec = deployed.dedicated_resources.machine_spec
    assert (spec.accelerator_type.name, spec.accelerator_count) == ("NVIDIA_L4", 2)
    capsys.readouterr()
    assert deploy(iris, "status") == 0
    told = capsys.readouterr().out
    assert "machines   1 to 3 x g2-standard-24 with 2 NVIDIA_L4 (1 now)" in told
    assert "limits     a dedicated endpoint: bodies to 10 MB, answers within 600 s" in told


@pytest.mark.parametrize(
    ("more", "megabytes", "said"),
    [
        ("", 10.1, "10,100,000 bytes, and a dedicated endpoint takes 10,000,000: `batch-transform`"),
        (
            'endpoint = "shared"',
            1.6,
            'a shared endpoint takes 1,500,000: [gcp] endpoint = "dedicated" takes 10',
        ),
    ],
)
def test_a_body_over_the_limit_says_what_else_to_do(iris, deploy, capsys, more, megabytes, said):
    assert deploy(edited(iris, ("", more))) == 0
    body = iris / "large.jsonl"
    body.write_bytes(b"1".ljust(int(megabytes * 1e6)))
    capsys.readouterr()
    assert deploy(iris, "invoke", "--body", str(body)) == 1
    told = capsys.readouterr().err
    assert said in told
    assert "Google said: The request size" in told


def test_the_program_for_a_shared_endpoint_says_its_limits_and_runs(iris, cloud, deploy, capsys):
    assert deploy(edited(iris, ("", 'endpoint = "shared"\n'))) == 0
    program = capsys.readouterr().out.partition("# the same from Python:\n")[2].partition("# end")[0]
    assert "# a shared endpoint: bodies to 1.5 MB, answers within 60 s; integers become floats" in program
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=cloud.local.shell, capture_output=True, text=True, timeout=100)
    assert (done.stdout.strip(), done.returncode) == ("[2.0]", 0), done.stderr


def test_a_container_that_never_gets_healthy_is_told_with_the_end_of_its_log(iris, deploy, asked, capsys):
    assert deploy(iris) == 0
    handler = iris / "inference/handler.py"
    text = handler.read_text()
    handler.write_text(
        text.replace("def load", 'print("about to load")\n\n    def load').replace("json.l", "no.l")
    )
    capsys.readouterr()
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert "Model server exited unexpectedly. Model server logs:" in told
    assert "about to load" in told.partition("Model server logs:")[2]
    assert "NameError: name 'no' is not defined" in told.partition("Model server logs:")[2]
    assert "it still serves iris-" in told
    assert asked(iris) == 2


def test_a_model_that_somebody_deletes_while_it_is_deployed_stays(iris, cloud, deploy, held, asked):
    assert deploy(iris) == 0
    (model,) = [thing.split()[1] for thing in held("iris") if thing.startswith("model ")]
    with pytest.raises(Exception, match=r"is deployed or being deployed at the following Endpoint\(s\)"):
        cloud.delete_model(model)
    with pytest.raises(Exception, match=r"has deployed or being-deployed DeployedModel\(s\)"):
        cloud.endpoints.delete_endpoint(name=f"{PLACE}/endpoints/iris")
    assert asked(iris) == 2


def test_an_image_of_another_region_is_refused_and_nothing_of_it_stays(iris, deploy, held, capsys):
    edited(iris, ("us-central1-docker", "europe-west4-docker"))
    assert deploy(iris) == 1
    assert "is in europe-west4, not in the region us-central1" in capsys.readouterr().err
    assert held("iris") == set()


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, 'Machine type "n2-standard-2" is not supported in us-central1.'),
        (429, "The following quotas are exceeded: CustomModelServingCPUsPerProjectPerRegion"),
    ],
)
def test_a_region_without_the_machine_is_told_with_what_to_do_and_leaves_nothing(
    iris, cloud, deploy, held, capsys, status, said
):
    cloud.refuse("POST endpoints:deployModel", status, said)
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert (
        f"{said.rstrip('.')}: in deploy.toml: [gcp] choose another machine_type or region than "
        "n2-standard-2 in us-central1, or ask for its quota (" in told
    )
    assert held(iris) == set()


def test_what_is_not_about_machines_is_told_as_it_is():
    assert errors.of_machine("Model server exited.", "n2-standard-2", "us-central1") == "Model server exited."


class Expired(BaseHTTPRequestHandler):
    """Google's token server, to credentials that are good no more."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        said = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
        body = json.dumps(said).encode()
        self.send_response(400)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(65537, 2048)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return made.private_bytes(*form).decode()


@pytest.fixture
def token_server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Expired) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/token"
        server.shutdown()


@pytest.fixture
def log_in(monkeypatch, tmp_path, cloud):
    """Has the next verb find these default credentials; with none it finds none."""
    # What NO_GCE_CHECK=true does in a new process: no machine's credentials are looked for.
    monkeypatch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)

    def use(text=None):
        file = tmp_path / "credentials.json"
        monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "" if text is None else str(file))
        if text:
            file.write_text(text)
        forget()

    return use


@pytest.mark.parametrize(
    "verb", ["deploy-endpoint", "plan", "status", "invoke", "logs", "rollback", "destroy"]
)
def test_without_credentials_every_verb_says_how_to_get_them(project, deploy, log_in, capsys, verb):
    place = project("iris")
    log_in()
    assert deploy(place, verb, "--live", "--yes") == 1
    assert capsys.readouterr().err == (
        "error: no Google credentials were found: log in with `gcloud auth application-default login`, or "
        "export GOOGLE_APPLICATION_CREDENTIALS with the path of a key file\n"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "was not found): log in with `gcloud auth"),
        ("{", "is not a valid json file"),
        ('{"type": "wrong"}', "does not have a valid type. Type is wrong"),
        ('{"type": "service_account"}', "): log in with `gcloud auth"),
    ],
)
def test_a_file_of_credentials_that_is_none_is_told(project, deploy, log_in, capsys, text, said):
    place = project("iris")
    log_in(text)
    assert deploy(place, "status") == 1
    told = capsys.readouterr().err
    assert told.startswith("error: the Google credentials cannot be used (")
    assert said in told
    assert told.count("\n") == 1


def account(key: str, token_uri: str) -> str:
    given = {"type": "service_account", "client_email": "x@y.iam.gserviceaccount.com", "project_id": "p"}
    return json.dumps({**given, "private_key": key, "private_key_id": "1", "token_uri": token_uri})


@pytest.mark.parametrize("verb", ["deploy-endpoint", "status", "logs"])
def test_expired_credentials_are_told_at_once(project, deploy, log_in, capsys, key, token_server, verb):
    """Row 28 of the faults: expired ones."""
    place = project("iris")
    log_in(account(key, token_server))
    assert deploy(place, verb, "--live") == 1
    assert capsys.readouterr().err == (
        "error: the Google credentials cannot be used (invalid_grant: Token has been expired or revoked): "
        "renew them with `gcloud auth application-default login`, then give the same command again\n"
    )


def test_an_address_that_does_not_answer_is_told_by_its_name(project, deploy, log_in, capsys, key):
    place = project("iris")
    log_in(account(key, "http://127.0.0.1:9/token"))
    assert deploy(place, "status") == 1
    assert capsys.readouterr().err == (
        "error: 127.0.0.1 was not reached (Connection refused): look at the network and at [gcp] region, "
        "then give the same command again\n"
    )
    assert errors.unreached("it broke.").startswith("it broke: look at the network")


def test_what_was_tried_in_vain_is_told_by_its_last_reason():
    with pytest.raises(CloudError, match=r"^busy \(503\)$"), clients.told():
        raise RetryError("Timeout of 30.0s exceeded", cause=ServiceUnavailable("busy"))


def test_credentials_are_known_to_be_good_before_anything_is_tried(log_in, key, token_server):
    log_in(account(key, token_server))
    with pytest.raises(CloudError, match="expired or revoked"), clients.told():
        clients.credentials()
