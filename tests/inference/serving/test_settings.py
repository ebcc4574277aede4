"""The environment, read into settings or refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest

from inference.serving import settings
from inference.serving.errors import StartError


def test_an_empty_environment_is_a_container_of_sagemakers_on_this_machine_alone():
    found = settings.read({})
    assert (found.host, found.port, found.model_dir) == ("127.0.0.1", 8080, Path("/opt/ml/model"))
    assert (found.health_routes, found.predict_routes) == (("/ping",), ("/invocations",))
    assert (found.max_queue, found.max_body) == (64, 25 * 2**20)
    assert (found.header_timeout_s, found.body_timeout_s, found.drain_s) == (10, 10, 25)
    assert found.manifest_sha256 is None


def test_vertex_names_come_before_sagemakers():
    found = settings.read(
        {"AIP_HTTP_PORT": "7080", "SAGEMAKER_BIND_TO_PORT": "9000", "AIP_HEALTH_ROUTE": "/health"}
    )
    assert (found.port, found.health_routes) == (7080, ("/ping", "/health"))


def test_an_empty_artifact_uri_is_none():
    assert settings.read({"AIP_STORAGE_URI": ""}).port == 8080


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("AIP_HTTP_PORT", "eighty"),
        ("SAGEMAKER_BIND_TO_PORT", "65536"),
        ("AIP_HEALTH_ROUTE", "ping"),
        ("AIP_PREDICT_ROUTE", "/a\nb"),
        ("SLIPWAY_MAX_QUEUE", "0"),
        ("SLIPWAY_MAX_QUEUE", "1.5"),
        ("SLIPWAY_MAX_BODY_MB", "-1"),
        ("SLIPWAY_MAX_BODY_MB", "nan"),
        ("SLIPWAY_HEADER_TIMEOUT_S", "inf"),
        ("SLIPWAY_BODY_TIMEOUT_S", "0"),
        ("SLIPWAY_DRAIN_S", "soon"),
        ("SLIPWAY_MANIFEST_SHA256", "abc"),
        ("AIP_STORAGE_URI", "gs://bucket/model"),
    ],
)
def test_a_wrong_value_is_refused_with_its_name(name, value):
    with pytest.raises(StartError, match=f"^{name}: "):
        settings.read({name: value})
