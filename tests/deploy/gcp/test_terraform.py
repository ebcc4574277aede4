"""`infra` on Google Cloud: what Terraform is told, by a stand-in that keeps what it is asked."""

import json
import os
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest

from deploy import config
from deploy.__main__ import main
from deploy.gcp import clients, terraform
from deploy.infrastructure import Wish
from deploy.target import CloudError
from deploy.verbs import account
from deploy.verbs.run import KIT

# Answers as the tool does, as far as it is read: each call's words go into a file.
STAND_IN = """\
#!{python}
import json, os, pathlib, signal, sys, time
words = [one for one in sys.argv[1:] if not one.startswith("-chdir=")]
with open(os.environ["ASKED"], "a") as asked:
    asked.write(json.dumps({{"words": words, "folder": sys.argv[1]}}) + "\\n")
print("Warning: something of the tool's own", file=sys.stderr, flush=True)
if words[0] == os.environ.get("LASTS"):
    def interrupted(*_):
        global at_work
        asked.write(json.dumps({{"interrupted": words[0]}}) + "\\n")
        at_work = False
    asked, at_work = open(os.environ["ASKED"], "a"), True
    signal.signal(signal.SIGINT, interrupted)
    print("at work", flush=True)
    while at_work:
        time.sleep(0.02)
    time.sleep(0.3)
    print("saved", flush=True)
    asked.write(json.dumps({{"saved": words[0]}}) + "\\n")
    asked.close()
    sys.exit(1)
if words[0] == "plan":
    pathlib.Path(next(one for one in words if one.startswith("-out="))[5:]).write_text("a plan")
if words[0] == os.environ.get("FAILS"):
    print("Error: Error creating Bucket: googleapi: Error 409", file=sys.stderr)
    sys.exit(1)
if words[0] == "show":
    def changed(address, *actions):
        return {{"address": address, "type": address.split(".")[0], "change": {{"actions": actions}}}}
    print(json.dumps({{"resource_changes": [
        changed("google_storage_bucket.models", "create"),
        changed("google_project_iam_custom_role.deployer", "update"),
        changed("google_project_service.needed", "no-op"),
        changed("google_service_account.invoker", "delete", "create"),
    ]}}))
"""


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Puts the stand-in on PATH; reads what it was asked."""
    tool, said = tmp_path / "bin/terraform", tmp_path / "asked"
    tool.parent.mkdir()
    tool.write_text(STAND_IN.format(python=sys.executable))
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tool.parent))
    monkeypatch.setenv("ASKED", str(said))
    for name in [one for one in os.environ if one.startswith(clients.OVERRIDE)]:
        monkeypatch.delenv(name)
    return lambda: [json.loads(line) for line in said.read_text().splitlines()] if said.exists() else []


@pytest.fixture
def folder(tmp_path):
    """A copy of infra/gcp, which the stand-in may fill."""
    return shutil.copytree(KIT / "infra/gcp", tmp_path / "gcp", ignore=shutil.ignore_patterns("state"))


@pytest.fixture
def settings(project):
    return config.load(project("iris"))


def drafted(settings, folder, **given):
    wish = Wish(folder, given)
    terraform.check(settings, wish)
    return terraform.draft(settings, wish, lambda _: None)


def test_what_terraform_would_change_is_the_plan(asked, settings, folder):
    found = drafted(settings, folder)
    assert [(one.action, one.resource.kind, one.resource.name) for one in found.changes] == [
        ("create", "storage_bucket", "models"),
        ("update", "project_iam_custom_role", "deployer"),
        ("delete", "service_account", "invoker"),
        ("create", "service_account", "invoker"),
    ]
    init, plan, show = asked()
    assert init["folder"] == f"-chdir={folder}"
    assert f"-backend-config=path={folder}/state/slipway-tests.tfstate" in init["words"]
    assert [one for one in plan["words"] if one.startswith("-var=")] == [
        "-var=bucket=slipway-tests-gcp",
        "-var=project=slipway-tests",
        "-var=region=us-central1",
    ]
    assert show["words"] == ["show", "-no-color", "-json", found.id]


def test_just_the_plan_that_was_shown_is_applied_and_its_file_goes(asked, settings, folder):
    found = drafted(settings, folder)
    terraform.carry_out(settings, found, lambda _: None)
    assert asked()[-1]["words"] == ["apply", "-no-color", "-input=false", found.id]
    assert sorted(path.name for path in (folder / "state").iterdir()) == ["slipway-tests.json"]


def test_what_is_set_stays_until_it_is_set_again(asked, settings, folder):
    drafted(settings, folder, deployers="group:ml@example.com,user:ann@example.com", monthly_budget="50")
    drafted(settings, folder, monthly_budget="60")
    given = [one for one in asked()[-2]["words"] if one.startswith("-var=")]
    assert '-var=deployers=["group:ml@example.com", "user:ann@example.com"]' in given
    assert "-var=monthly_budget=60" in given


def test_a_failure_is_told_in_the_tool_s_own_words(asked, settings, folder, monkeypatch):
    found = drafted(settings, folder)
    monkeypatch.setenv("FAILS", "apply")
    with pytest.raises(
        CloudError, match=r"(?s)terraform apply failed \(exit status 1\):\n.*Error: Error creating Bucket"
    ):
        terraform.carry_out(settings, found, lambda _: None)
    assert not Path(found.id).exists()


def stopping(word):
    """Presses Ctrl-C as soon as that is printed."""
    return lambda line: signal.raise_signal(signal.SIGINT) if line == word else None


@pytest.mark.parametrize("step", ["plan", "apply"])
def test_ctrl_c_is_handed_on_once_and_its_end_is_waited_for(asked, settings, folder, monkeypatch, step):
    found = drafted(settings, folder)
    monkeypatch.setenv("LASTS", step)
    with pytest.raises(KeyboardInterrupt):
        if step == "plan":
            terraform.draft(settings, Wish(folder, {}), stopping("at work"))
        else:
            terraform.carry_out(settings, found, stopping("at work"))
    assert asked()[-2:] == [{"interrupted": step}, {"saved": step}]
    assert sorted(path.name for path in (folder / "state").iterdir()) == ["slipway-tests.json"]


def test_a_person_who_stops_it_is_told_what_terraform_does(asked, project, folder, monkeypatch, capsys):
    place, heard = project("stopped"), terraform._heard
    monkeypatch.setattr(account, "KIT", folder.parent / "kit")
    (folder.parent / "kit/infra").mkdir(parents=True)
    folder.rename(folder.parent / "kit/infra/gcp")
    monkeypatch.setenv("LASTS", "apply")
    monkeypatch.setattr(
        terraform, "_heard", lambda process, printed, _: heard(process, printed, stopping("at work"))
    )
    assert main(["infra", "--project", str(place), "--cloud", "gcp", "--live", "--yes"]) == 130
    told = capsys.readouterr().err
    assert (
        "Terraform has ended what it was making in project slipway-tests, and the same command again" in told
    )
    assert "waits for it" not in told


# Of what the tool itself can make, without any provider.
BUILT_IN = """\
terraform {
  backend "local" {}
}

variable "project" {}
variable "region" {}
variable "bucket" {}
variable "deployers" {
  type = list(string)
}

resource "terraform_data" "made" {
  input = [var.region, var.bucket]
}

output "deploy_toml" {
  value = join("\\n", concat(["[gcp]", "project = ${var.project}"], var.deployers))
}
"""


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no Terraform here")
def test_terraform_itself_takes_all_that_it_is_told(settings, tmp_path, monkeypatch):
    for name in [one for one in os.environ if one.startswith(clients.OVERRIDE)]:
        monkeypatch.delenv(name)
    (tmp_path / "gcp").mkdir()
    (tmp_path / "gcp/main.tf").write_text(BUILT_IN)
    found = drafted(settings, tmp_path / "gcp", deployers="user:ann@example.com")
    assert [(one.action, one.resource.kind) for one in found.changes] == [("create", "terraform_data")]
    terraform.carry_out(settings, found, lambda _: None)
    lines = ["[gcp]", "project = slipway-tests", "user:ann@example.com"]
    assert terraform.told(settings, Wish(tmp_path / "gcp", {})) == lines
    assert drafted(settings, tmp_path / "gcp").changes == ()
    assert (tmp_path / "gcp/state/slipway-tests.tfstate").is_file()
    assert not (tmp_path / "gcp/terraform.tfstate").exists()


def test_the_files_leave_open_where_what_is_known_lies():
    assert 'backend "local" {}' in (KIT / "infra/gcp/versions.tf").read_text()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"Email": "me@example.com"},
            "--set Email: no such setting, expected one of billing_account, deployers",
        ),
        ({"deployers": 'a" -destroy'}, "--set deployers='a\" -destroy': expected letters, digits"),
    ],
)
def test_a_wrong_setting_is_refused_before_the_tool_is_asked(asked, settings, folder, given, said):
    with pytest.raises(CloudError) as refused:
        terraform.check(settings, Wish(folder, given))
    assert str(refused.value).startswith(said)
    assert asked() == []


def test_it_never_reaches_google_from_where_the_verbs_are_led_elsewhere(asked, settings, folder, monkeypatch):
    monkeypatch.setenv(f"{clients.OVERRIDE}AIPLATFORM", "http://somewhere.example/")
    with pytest.raises(CloudError, match="Terraform speaks to Google itself and not to where"):
        terraform.check(settings, Wish(folder, {}))


def test_without_a_tool_one_sentence_says_what_to_install(settings, folder, asked, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "nowhere"))
    with pytest.raises(CloudError, match="neither terraform nor tofu is installed"):
        terraform.check(settings, Wish(folder, {}))


SLOW = """
resource "terraform_data" "first" {
  provisioner "local-exec" {
    command = "echo at work; sleep 1"
  }
}

resource "terraform_data" "second" {
  depends_on = [terraform_data.first]
}
"""


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no Terraform here")
def test_terraform_itself_is_stopped_without_its_lock_and_goes_on_where_it_was(
    settings, tmp_path, monkeypatch
):
    for name in [one for one in os.environ if one.startswith(clients.OVERRIDE)]:
        monkeypatch.delenv(name)
    folder = tmp_path / "gcp"
    folder.mkdir()
    (folder / "main.tf").write_text(BUILT_IN + SLOW)
    found = drafted(settings, folder, deployers="user:ann@example.com")

    def stop(line):
        if line.endswith("at work"):
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        terraform.carry_out(settings, found, stop)
    assert [path.name for path in (folder / "state").glob("*lock*")] == []
    rest = drafted(settings, folder)
    assert "second" in {one.resource.name for one in rest.changes}
    terraform.carry_out(settings, rest, lambda _: None)
    assert drafted(settings, folder).changes == ()
