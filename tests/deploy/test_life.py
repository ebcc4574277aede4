"""A deployment from its first day to its last, on either cloud."""

import re


def edited(place, old, new):
    text = (place / "deploy.toml").read_text()
    assert old in text
    (place / "deploy.toml").write_text(text.replace(old, new))


def counted(things):
    kinds = [thing.split()[0] for thing in things]
    return {kind: kinds.count(kind) for kind in set(kinds)}


def test_a_deployment_s_life(cloud, iris, deploy, held, asked, weighed, capsys):
    assert deploy(iris) == 0
    assert "iris answered 2 of 2 samples" in capsys.readouterr().out
    first = held(iris)
    assert counted(first) == dict.fromkeys(cloud.kinds, 1)

    assert deploy(iris) == 0
    assert "nothing to change" in capsys.readouterr().out
    assert held(iris) == first

    weighed(iris, 3)
    assert deploy(iris, "plan") == 0
    planned = re.findall(r"^  (create|update|delete) ", capsys.readouterr().out, re.MULTILINE)
    assert planned == [*("create" for _ in cloud.kinds[:-1]), "update"]
    assert held(iris) == first
    assert deploy(iris) == 0
    assert asked(iris) == 3
    assert counted(held(iris)) == {kind: 1 if kind == "endpoint" else 2 for kind in cloud.kinds}

    assert deploy(iris, "rollback") == 0
    assert asked(iris) == 2
    capsys.readouterr()
    assert deploy(iris, "status") == 0
    told = capsys.readouterr().out
    assert re.search("in ?service", told, re.IGNORECASE) and told.count("kept ") == 1

    assert deploy(iris, "logs") == 0
    assert "slipway: ready" in capsys.readouterr().out
    assert deploy(iris, "destroy", "--yes") == 0
    assert "nothing of iris is left" in capsys.readouterr().out
    assert held(iris) == set()


def test_only_as_many_versions_are_kept_as_the_file_says(cloud, iris, deploy, held, weighed):
    edited(iris, 'name = "iris"\n', 'name = "iris"\nkeep_versions = 1\n')
    for factor in (2, 3, 4):
        assert deploy(weighed(iris, factor)) == 0
    assert counted(held(iris)) == {kind: 1 if kind == "endpoint" else 2 for kind in cloud.kinds}


def test_iris_and_iris_big_never_touch_one_another(iris, project, deploy, held, asked, weighed):
    big = project("iris-big", factor=5)
    assert deploy(iris) == deploy(big) == 0
    of_big = held(big)
    assert deploy(weighed(iris, 3)) == 0
    assert deploy(iris, "destroy", "--yes") == 0
    assert held(iris) == set()
    assert held(big) == of_big
    assert asked(big) == 5
    assert deploy(iris) == 0
    of_iris = held(iris)
    assert deploy(big, "destroy", "--yes") == 0
    assert held(iris) == of_iris
    assert asked(iris) == 3


def test_a_rollback_brings_the_version_s_own_machine_back(cloud, iris, deploy):
    before, after = cloud.machines
    assert deploy(iris) == 0
    edited(iris, before, after)
    assert deploy(iris) == 0
    assert cloud.machine("iris") == after
    assert deploy(iris, "rollback") == 0
    assert cloud.machine("iris") == before


def test_an_endpoint_of_somebody_else_is_left_alone(cloud, iris, deploy, held, asked, weighed, capsys):
    assert deploy(iris) == 0
    cloud.give("iris", "")
    before = held(iris)
    capsys.readouterr()
    assert deploy(weighed(iris, 3)) == 1
    assert "endpoint 'iris' is there already and is not this deployment's" in capsys.readouterr().err
    assert held(iris) == before
    assert asked(iris) == 2
    cloud.give("iris", "iris")


def test_models_of_somebody_else_are_not_deleted(cloud, iris, deploy, held, capsys):
    assert deploy(iris) == 0
    theirs = cloud.add_model(like="iris")
    capsys.readouterr()
    assert deploy(iris, "destroy", "--yes") == 0
    assert f"not this deployment's, left alone: model {theirs}" in capsys.readouterr().out
    assert held(iris) == {f"model {theirs}"}
    cloud.delete_model(theirs)


def test_an_endpoint_that_was_deleted_with_its_model_still_there_is_made_again(cloud, iris, deploy, held):
    assert deploy(iris) == 0
    before = held(iris)
    cloud.delete_endpoint("iris")
    assert held(iris) < before
    assert deploy(iris) == 0
    assert held(iris) == before


def test_a_handler_of_another_server_is_deployed_as_it_is(iris, deploy, capsys):
    (iris / "inference/handler.py").unlink()
    (iris / "inference/inference.py").write_text(
        "def model_fn(model_dir):\n    return 3\n\n\ndef predict_fn(data, model):\n    return model * data\n"
    )
    assert deploy(iris) == 0
    told = capsys.readouterr().out
    assert "iris answered 2 of 2 samples" in told
    assert "-> 3" in told
