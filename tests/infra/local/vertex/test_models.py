"""Models and their versions, as Google's SDK knows them."""

import pytest
from google.api_core import exceptions
from google.cloud import aiplatform


def test_a_model_is_found_again_by_name_label_and_id(google):
    name = google.name("found")
    model = google.model(display_name=name, labels={"kit": name}, serving_container_ports=[8080])
    assert model.resource_name.split("/")[1].isdigit(), "the service answers with the project's number"
    for query in (f'display_name="{name}"', f"labels.kit={name}", f"model={model.name}"):
        assert [one.resource_name for one in aiplatform.Model.list(filter=query)] == [model.resource_name]
    again = aiplatform.Model(f"projects/slipway-tests/locations/us-central1/models/{model.name}")
    assert again.resource_name == model.resource_name
    assert again.container_spec.ports[0].container_port == 8080
    assert again.version_aliases == ["default"]


def test_a_version_is_made_by_parent_and_the_default_moves_with_its_alias(google):
    model = google.model()
    second = google.model(
        parent_model=model.resource_name, is_default_version=False, version_aliases=["candidate"]
    )
    third = google.model(parent_model=model.resource_name, is_default_version=True)
    assert [one.version_id for one in (model, second, third)] == ["1", "2", "3"]
    assert aiplatform.Model(model.resource_name).version_id == "3"
    assert aiplatform.Model(f"{model.resource_name}@candidate").version_id == "2"
    registry = model.versioning_registry
    registry.add_version_aliases(["default", "best"], "2")
    registry.remove_version_aliases(["candidate"], "2")
    found = {one.version_id: one.version_aliases for one in registry.list_versions()}
    assert found == {"1": [], "2": ["default", "best"], "3": []}


def test_a_version_is_deleted_but_neither_the_default_nor_a_deployed_one(google):
    endpoint = google.served()
    model = aiplatform.Model(endpoint.list_models()[0].model)
    google.model(parent_model=model.resource_name, is_default_version=True)
    google.model(parent_model=model.resource_name, is_default_version=False)
    registry = model.versioning_registry
    with pytest.raises(exceptions.BadRequest, match="default version"):
        registry.delete_version("2")
    with pytest.raises(exceptions.BadRequest, match=f"following Endpoint.*{endpoint.resource_name}"):
        registry.delete_version("1")
    registry.delete_version("3")
    assert sorted(one.version_id for one in registry.list_versions()) == ["1", "2"]


def test_the_only_version_is_deleted_with_its_model_and_not_while_deployed(google):
    endpoint = google.served()
    model = aiplatform.Model(endpoint.list_models()[0].model)
    with pytest.raises(exceptions.BadRequest, match="only version"):
        model.versioning_registry.delete_version("1")
    with pytest.raises(exceptions.BadRequest, match="is deployed or being deployed"):
        model.delete()
    endpoint.undeploy_all()
    model.delete()
    with pytest.raises(exceptions.NotFound):
        aiplatform.Model(model.resource_name)


def test_what_describes_a_model_can_be_changed_and_nothing_else(google):
    model = google.model(labels={"a": "1"})
    model.update(display_name="another", labels={"b": "2"})
    again = aiplatform.Model(model.resource_name)
    assert (again.display_name, dict(again.labels)) == ("another", {"b": "2"})
    answer = google.ask("PATCH", f"models/{model.name}?updateMask=container_spec", json={})
    assert answer.json()["error"]["status"] == "INVALID_ARGUMENT"


def test_a_model_knows_where_it_is_deployed(google):
    endpoint = google.served()
    model = aiplatform.Model(endpoint.list_models()[0].model)
    (deployed,) = model.gca_resource.deployed_models
    assert deployed.endpoint == endpoint.resource_name


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"artifact_uri": "gs://models-of-the-tests/nothing-here"}, "no files under"),
        ({"artifact_uri": "gs://no-such-bucket-at-all/x"}, "bucket does not exist"),
        ({"serving_container_image_uri": "docker.io/library/python"}, "Invalid image"),
        (
            {"serving_container_image_uri": "europe-west4-docker.pkg.dev/p/r/i:1"},
            "not in the region us-central1",
        ),
        ({"version_aliases": ["UPPER"]}, "is no version alias"),
        ({"parent_model": "7"}, "does not exist"),
    ],
)
def test_an_upload_that_cannot_be_is_refused(google, given, said):
    with pytest.raises((exceptions.BadRequest, exceptions.NotFound), match=said):
        google.model(**given)
