"""The Terraform files, read without Terraform: rights, names and settings. No provider has seen them."""

import re
import tomllib

import pytest
import terraform

from deploy.sections import Gcp

# Predefined roles that are granted, and the one kind of thing that each may be granted on.
PREDEFINED = {
    "roles/artifactregistry.writer": "google_artifact_registry_repository_iam_member",
    "roles/iam.serviceAccountTokenCreator": "google_service_account_iam_member",
    "roles/logging.logWriter": "google_project_iam_member",  # it writes log entries and no more
    "roles/storage.objectViewer": "google_storage_bucket_iam_member",
}
GRANTS = {address: body for address, body in terraform.resources().items() if "_iam_member." in address}
CUSTOM = terraform.resources("google_project_iam_custom_role")
PROJECT = "my-project"


@pytest.mark.parametrize("address", GRANTS)
def test_a_right_is_granted_by_a_role_of_ours_or_on_one_small_thing(address):
    role = GRANTS[address]["role"]
    ours = re.fullmatch(r"\$\{(google_project_iam_custom_role\.\w+)\.id\}", role)
    assert ours[1] in CUSTOM if ours else PREDEFINED[role] == address.partition(".")[0]


def test_no_role_is_granted_to_the_world_and_none_with_authority_over_others_grants():
    assert not re.search(r"allUsers|allAuthenticatedUsers", terraform.text())
    # A binding or a policy would take away what others have granted on the same thing.
    assert not re.search(r"google_\w+_iam_(binding|policy)\b", terraform.text())


@pytest.mark.parametrize("address", CUSTOM)
def test_a_role_of_ours_holds_single_permissions_each_once(address):
    held = CUSTOM[address]["permissions"]
    assert held and all(re.fullmatch(r"[a-z]+\.[a-zA-Z]+\.[a-zA-Z]+", one) for one in held)
    assert held == sorted(set(held))


def test_the_invoker_may_predict_and_nothing_else():
    assert terraform.permissions("invoker") == {"aiplatform.endpoints.predict"}
    of_the_invoker = [
        body for body in GRANTS.values() if "service_account.invoker." in body.get("member", "")
    ]
    assert [body["role"] for body in of_the_invoker] == ["${google_project_iam_custom_role.invoker.id}"]


def test_only_the_accounts_that_run_things_are_handed_out_and_only_by_the_deployer():
    handed = [body for body in GRANTS.values() if "custom_role.act_as." in body["role"]]
    assert {body["member"] for body in handed} == {"${google_service_account.deployer.member}"}
    assert {body["service_account_id"] for body in handed} == {
        "${google_service_account.serving.name}",
        "${google_service_account.builder.name}",
        "${google_service_account.scheduler.name}",
    }


def test_the_bucket_is_nobody_else_s():
    bucket = terraform.resources("google_storage_bucket")["google_storage_bucket.models"]
    assert bucket["uniform_bucket_level_access"] is True
    assert bucket["public_access_prevention"] == "enforced"
    assert bucket["versioning"] == [{"enabled": True}]
    assert not bucket.get("force_destroy"), "models are never thrown away with what holds them"
    rules = [(rule["action"][0]["type"], rule["condition"][0]) for rule in bucket["lifecycle_rule"]]
    assert rules == [
        ("Delete", {"days_since_noncurrent_time": 30}),
        ("AbortIncompleteMultipartUpload", {"age": 7}),
        ("Delete", {"age": 7, "matches_prefix": ["_builds/"]}),
    ]


def test_every_address_that_is_named_is_there():
    there = terraform.resources().keys()
    named = set(
        re.findall(r"\b(google_[a-z_]+\.[a-z_]+)\.(?:id|name|email|member|location)\b", terraform.text())
    )
    assert named and named <= there


def test_every_variable_that_is_used_is_declared_and_every_declared_one_is_used():
    declared = set(re.findall(r'^variable "(\w+)"', terraform.text(), re.MULTILINE))
    assert set(re.findall(r"\bvar\.(\w+)", terraform.text())) == declared


def test_what_it_prints_for_deploy_toml_is_what_deploy_toml_takes():
    printed = re.search(r"deploy_toml.*?<<-EOT\n(.*?)\n +EOT", terraform.text(), re.DOTALL)
    assert printed
    filled = re.sub(r"\$\{var\.project\}", PROJECT, printed[1])
    filled = re.sub(r"\$\{var\.region\}", "us-central1", filled)
    filled = re.sub(r"\$\{google_storage_bucket\.models\.name\}", "models", filled)
    account = r"\$\{google_service_account\.(\w+)\.email\}"
    filled = re.sub(account, rf"slipway-\1@{PROJECT}.iam.gserviceaccount.com", filled)
    section = tomllib.loads(filled)["gcp"]
    image = "us-central1-docker.pkg.dev/my-project/slipway/serving:1"
    assert Gcp.model_validate({**section, "machine_type": "n2-standard-2", "image": image})


def test_what_a_project_id_and_a_region_are_is_the_same_in_both_files():
    for key, allowed in (("project", Gcp.model_fields["project"]), ("region", Gcp.model_fields["region"])):
        rule = re.search(rf'can\(regex\("([^"]+)", var\.{key}\)\)', terraform.text())
        assert rule and rule[1] == next(one.pattern for one in allowed.metadata if hasattr(one, "pattern"))
