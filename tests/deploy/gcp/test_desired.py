"""What is wanted of Vertex AI: literal requests, and names that change with what they stand for."""

from pathlib import Path

import pytest

from deploy import config, gcp
from deploy.package import Archive

LABELS = {"slipway-deployment": "iris"}
PLACE = "projects/slipway-tests/locations/us-central1"


def test_what_is_wanted_is_these_three_requests(project):
    place = project("iris")
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(
        text
        + 'max_replicas = 3\nservice_account = "serving@slipway-tests.iam.gserviceaccount.com"\n'
        + '[serving]\nmax_queue = 9\n[environment]\nLOG_LEVEL = "info"\n'
    )
    archive = Archive(Path("build/model.tar.gz"), "0123456789ab" + "c" * 52, 1, 1)
    wanted = gcp.desired(config.load(place), archive)
    version = wanted[1].name
    container = {
        "image_uri": "us-central1-docker.pkg.dev/slipway-tests/slipway/serving:1",
        "env": [
            {"name": "LOG_LEVEL", "value": "info"},
            {"name": "SLIPWAY_MANIFEST_SHA256", "value": "0123456789ab" + "c" * 52},
            {"name": "SLIPWAY_MAX_QUEUE", "value": "9"},
        ],
        "ports": [{"container_port": 8080}],
        "predict_route": "/invocations",
        "health_route": "/ping",
    }
    model = {
        "display_name": version,
        "artifact_uri": "gs://slipway-tests-gcp/iris/0123456789ab",
        "container_spec": container,
        "description": '{"dedicated_resources": {"machine_spec": {"machine_type": "n2-standard-2"}, '
        '"max_replica_count": 3, "min_replica_count": 1}, '
        '"service_account": "serving@slipway-tests.iam.gserviceaccount.com"}',
        "labels": LABELS,
    }
    endpoint = {"display_name": "iris", "labels": LABELS, "dedicated_endpoint_enabled": True}
    key = "iris/0123456789ab/model.tar.gz"
    assert [(resource.kind, resource.name, resource.version, resource.params) for resource in wanted] == [
        ("archive", key, "", {"path": "build/model.tar.gz", "key": key}),
        ("model", version, "", {"parent": PLACE, "model_id": version, "model": model}),
        ("endpoint", "iris", version, {"parent": PLACE, "endpoint_id": "iris", "endpoint": endpoint}),
    ]
    assert version == "iris-4979f4df1513"


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (("n2-standard-2", "n2-standard-4"), {"archive"}),
        (("serving:1", "serving:2"), {"archive"}),
        (("[gcp]", '[environment]\nA = "1"\n[gcp]'), {"archive"}),
        (("[gcp]", "keep_versions = 5\n[gcp]"), {"archive", "model", "endpoint"}),
    ],
)
def test_a_changed_setting_makes_another_version_of_what_it_reaches(project, change, same):
    place = project("iris")
    archive = Archive(Path("a"), "0" * 64, 1, 1)
    before = gcp.desired(config.load(place), archive)
    (place / "deploy.toml").write_text((place / "deploy.toml").read_text().replace(*change))
    after = gcp.desired(config.load(place), archive)
    assert {old.kind for old, new in zip(before, after, strict=True) if old == new} == same
