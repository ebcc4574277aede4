"""What verbs say of money, and that nothing billed is left behind: on both clouds."""

import re

import pytest

# A type with a price in the table that ships, and one without, for each cloud.
KNOWN = {"aws": ("ml.m5.xlarge", "$0.23", "$167.90"), "gcp": ("n1-standard-2", "$0.11", "$79.94")}
GIVEN = {"aws": "ml.m7i.large", "gcp": "n2-standard-2"}


def changed(place, old, new):
    path = place / "deploy.toml"
    path.write_text(path.read_text().replace(old, new))
    return place


@pytest.fixture
def priced(iris, cloud):
    """iris on a machine whose price is known."""
    return changed(iris, GIVEN[cloud.name], KNOWN[cloud.name][0])


def test_a_plan_says_what_it_costs_by_the_hour_and_month_of_when_and_what_would_cost_less(
    priced, deploy, cloud, held, capsys
):
    machine, hour, month = KNOWN[cloud.name]
    assert deploy(priced, "plan") == 0
    printed = capsys.readouterr().out
    assert re.search(
        rf"^costs      \{hour} an hour, \{month} a month .*1 x {machine} in", printed, re.MULTILINE
    )
    assert re.search(r"^cheaper    batch-transform", printed, re.MULTILINE)
    assert re.search(
        r"^prices     .*in the table that ships, read 2026-09-\d\d \(LIVE=1 asks", printed, re.MULTILINE
    )
    assert held(priced) == set()


def test_a_type_without_a_price_is_said_to_have_none(iris, deploy, cloud, capsys):
    assert deploy(iris, "plan") == 0
    assert f"costs      price unknown: 1 x {GIVEN[cloud.name]} in " in capsys.readouterr().out


@pytest.mark.parametrize("cloud_name", ["aws"])
def test_a_serverless_endpoint_costs_by_the_request(iris, deploy, capsys):
    path = iris / "deploy.toml"
    path.write_text(
        path.read_text().replace(
            "[training]", "[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 5\n\n[training]"
        )
    )
    assert deploy(iris, "plan") == 0
    printed = capsys.readouterr().out
    assert "costs      nothing while nobody asks: serverless, $0.00002 for a GB-second (" in printed
    assert "cheaper" not in printed


def test_live_says_the_cost_before_it_asks_and_goes_on_where_the_list_cannot_be_read(
    priced, deploy, cloud, capsys
):
    assert deploy(priced, "plan", "--live") == 0
    printed = capsys.readouterr().out
    assert f"costs      {KNOWN[cloud.name][1]} an hour" in printed
    assert "the price list could not be read: " in printed


def test_status_says_age_and_cost_so_far_and_that_it_is_an_estimate(priced, deploy, cloud, capsys):
    machine, hour, _ = KNOWN[cloud.name]
    assert deploy(priced) == 0
    capsys.readouterr()
    assert deploy(priced, "status") == 0
    printed = capsys.readouterr().out
    assert re.search(r"^age        \d+ s, since 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC$", printed, re.MULTILINE)
    assert re.search(
        rf"^cost       about \$0\.\d+ so far, \{hour} an hour: an estimate by", printed, re.MULTILINE
    )
    assert f"1 x {machine} in" in printed
    assert re.search(r"^ends       not by itself", printed, re.MULTILINE)


def test_a_training_s_question_says_what_it_costs_at_most(untrained, deploy, cloud, capsys):
    changed(untrained, GIVEN[cloud.name], {"aws": "ml.m5.xlarge", "gcp": "e2-standard-4"}[cloud.name])
    changed(untrained, "[training]\n", "[training]\nmax_run_s = 3600\n")
    assert deploy(untrained, "train", "--live") == 1
    printed = capsys.readouterr()
    assert re.search(
        r"^costs      \$0\.\d+ an hour on 1 x .*, \$0\.\d+ at most in the 1 h that", printed.out, re.MULTILINE
    )
    assert "Start a training job" in printed.err


def test_all_that_is_made_carries_the_deployment_and_its_owner(iris, deploy, cloud):
    changed(iris, "\n[aws]\n", '\nowner = "forecasts"\n\n[aws]\n')
    assert deploy(iris) == 0
    found = owners(cloud)
    assert found
    assert set(found.values()) == {("iris", "forecasts")}
    assert {kind for kind, _ in found} == {"model", "endpoint"} | (
        {"endpoint-config", "archive"} if cloud.name == "aws" else set()
    )


def owners(cloud):
    """The deployment and the owner by the tags or labels of each thing of iris, by its kind and name."""
    if cloud.name == "gcp":
        from clouds.gcp import PLACE

        models = {("model", one.name): one.labels for one in cloud.models.list_models(parent=PLACE)}
        endpoints = cloud.endpoints.list_endpoints(parent=PLACE)
        there = models | {("endpoint", one.name): one.labels for one in endpoints}
        mine = {key: found for key, found in there.items() if re.search(r"/iris(-[0-9a-f]{12})?$", key[1])}
        return {key: (found["slipway-deployment"], found.get("slipway-owner")) for key, found in mine.items()}
    index = cloud.local.client("resourcegroupstaggingapi")
    pages = index.get_resources(TagFilters=[{"Key": "slipway:deployment", "Values": ["iris"]}])
    found = {
        tuple(one["ResourceARN"].split(":")[5].split("/")): one["Tags"]
        for one in pages["ResourceTagMappingList"]
        if "job" not in one["ResourceARN"]
    }
    (archive,) = (uri for uri in cloud.storage.list(cloud.uri("iris/")) if uri.endswith("model.tar.gz"))
    key = archive.removeprefix(cloud.uri())
    s3 = cloud.local.client("s3")
    found["archive", key] = s3.get_object_tagging(Bucket=cloud.bucket, Key=key)["TagSet"]
    tags = {key: {tag["Key"]: tag["Value"] for tag in held} for key, held in found.items()}
    return {key: (held["slipway:deployment"], held.get("slipway:owner")) for key, held in tags.items()}


def test_destroy_fails_where_something_with_our_name_on_it_is_still_billed(
    iris, deploy, cloud, project, capsys
):
    stray = project("stray")
    assert deploy(stray) == 0
    cloud.give("stray", "iris")
    assert deploy(iris) == 0
    try:
        assert deploy(iris, "destroy", "--yes") == 1
        told = capsys.readouterr().err
        assert "still billed under the name iris: endpoint stray" in told
    finally:
        cloud.give("stray", "stray")
        assert deploy(stray, "destroy", "--yes") == 0
    assert deploy(iris, "destroy", "--yes") == 0
    assert "nothing that carries the name iris is billed" in capsys.readouterr().out


def test_ttl_without_who_ends_it_is_refused_before_any_cloud_is_asked(
    project, deploy, cloud, capsys, monkeypatch
):
    place = project("iris")
    cloud.without_credentials(monkeypatch)
    key = {"aws": "scheduler_role", "gcp": "scheduler_account"}[cloud.name]
    assert deploy(place, "deploy-endpoint", "--ttl", "4h") == 1
    told = capsys.readouterr().err
    assert told.startswith(f"error: deploy.toml: [{cloud.name}]: {key} is missing, expected with TTL the ")


@pytest.mark.parametrize("owner", ["Forecasts", "a b", "x" * 64, "a@b"])
def test_an_owner_that_is_no_tag_on_both_clouds_is_refused(iris, deploy, owner, capsys):
    changed(iris, "\n[aws]\n", f'\nowner = "{owner}"\n\n[aws]\n')
    assert deploy(iris, "plan") == 1
    assert f"deploy.toml: owner is {owner!r}, expected who pays, at most 63 of a-z" in capsys.readouterr().err
