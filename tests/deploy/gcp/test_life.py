"""A deployment on Vertex AI from its first day to its last: the real SDK against the local cloud."""

import re

from deploy.gcp import clients, inventory

PLACE = "projects/slipway-tests/locations/us-central1"


def deployed(name):
    endpoint = clients.endpoints("us-central1").get_endpoint(name=f"{PLACE}/endpoints/{name}")
    return {inventory.last(one.model): endpoint.traffic_split.get(one.id) for one in endpoint.deployed_models}


def test_a_deployment_s_life(iris, deploy, held, asked, weighed, capsys):
    assert deploy(iris) == 0
    assert "iris answered 2 of 2 samples" in capsys.readouterr().out
    first = held("iris")
    assert {thing.split()[0] for thing in first} == {"archive", "model", "endpoint"} and len(first) == 3

    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert held("iris") == first

    weighed(iris, 3)
    assert deploy(iris, "plan") == 0
    planned = re.findall(r"^  (create|update|delete) ", capsys.readouterr().out, re.MULTILINE)
    assert planned == ["create", "create", "update"]
    assert held("iris") == first
    assert deploy(iris) == 0
    assert asked(iris) == 3
    assert len(held("iris")) == 5
    assert list(deployed("iris").values()) == [100], "the version before is on no machine any more"

    assert deploy(iris, "rollback") == 0
    assert asked(iris) == 2
    capsys.readouterr()
    assert deploy(iris, "status") == 0
    told = capsys.readouterr().out
    assert "in service" in told and "1 x n2-standard-2" in told and told.count("kept ") == 1

    assert deploy(iris, "logs") == 0
    assert "slipway: ready" in capsys.readouterr().out
    assert deploy(iris, "destroy", "--yes") == 0
    assert "nothing of iris is left" in capsys.readouterr().out
    assert held("iris") == set()


def test_only_as_many_versions_are_kept_as_the_file_says(iris, deploy, held, weighed):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("[gcp]", "keep_versions = 1\n\n[gcp]"))
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    kinds = [thing.split()[0] for thing in held("iris")]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {"archive": 2, "model": 2, "endpoint": 1}


def test_iris_and_iris_big_never_touch_one_another(iris, project, deploy, held, asked, weighed):
    big = project("iris-big", factor=5)
    assert deploy(iris) == deploy(big) == 0
    of_big = held("iris-big")
    assert deploy(iris, "destroy", "--yes") == 0
    assert held("iris") == set()
    assert held("iris-big") == of_big
    assert asked(big) == 5
    assert deploy(big, "destroy", "--yes") == 0


def test_a_rollback_brings_the_version_s_own_machine_back(iris, deploy, asked):
    assert deploy(iris) == 0
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("n2-standard-2", "n2-standard-8"))
    assert deploy(iris) == 0
    assert machine("iris") == "n2-standard-8"
    assert deploy(iris, "rollback") == 0
    assert machine("iris") == "n2-standard-2"


def machine(name):
    endpoint = clients.endpoints("us-central1").get_endpoint(name=f"{PLACE}/endpoints/{name}")
    (one,) = endpoint.deployed_models
    return one.dedicated_resources.machine_spec.machine_type


def test_a_deploy_that_was_stopped_before_the_old_version_left_is_taken_up(iris, deploy, asked, weighed):
    assert deploy(iris) == 0
    (first,) = deployed("iris")
    assert deploy(weighed(iris, 3)) == 0
    (second,) = deployed("iris")
    again = {"model": f"{PLACE}/models/{first}", "display_name": first}
    resources = {"machine_spec": {"machine_type": "n2-standard-2"}, "min_replica_count": 1}
    clients.endpoints("us-central1").deploy_model(
        endpoint=f"{PLACE}/endpoints/iris", deployed_model={**again, "dedicated_resources": resources}
    ).result(30)
    assert len(deployed("iris")) == 2
    assert deploy(iris) == 0
    assert deployed("iris") == {second: 100}
    assert asked(iris) == 3


def test_a_shared_endpoint_is_asked_at_the_region_s_own_address(iris, deploy, asked, capsys):
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text + 'endpoint = "shared"\n')
    assert deploy(iris) == 0
    assert asked(iris) == 2
    (iris / "deploy.toml").write_text(text)
    capsys.readouterr()
    assert deploy(iris) == 1
    assert "is shared, and deploy.toml says dedicated" in capsys.readouterr().err
