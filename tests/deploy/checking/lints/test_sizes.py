"""Samples that no endpoint takes are told before one is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.checking.lints import sizes
from deploy.checking.subject import Subject


def with_sample(subject: Subject, size: int) -> Subject:
    """The second line has so many bytes."""
    path = Path(subject.code / "samples.jsonl")
    path.write_bytes(b"1\n" + b'"' + b"a" * (size - 2) + b'"\n')
    return subject


@pytest.mark.parametrize(
    ("cloud", "settings", "size", "severities"),
    [
        ("aws", "", 5_000_000, []),
        ("aws", "", 7_000_000, ["warning"]),
        ("aws", "", 27_000_000, ["error", "error"]),
        ("aws", "[serving]\nmax_body_mb = 5\n", 6_000_000, ["error"]),
        ("aws", "[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 5\n", 5_000_000, ["error"]),
        ("aws", "[endpoint.asynchronous]\n[serving]\nmax_body_mb = 100\n", 27_000_000, []),
        ("gcp", "", 9_000_000, []),
        ("gcp", "", 10_000_000, ["error"]),
    ],
)
def test_a_body_is_held_against_the_cloud_and_the_container(subject, cloud, settings, size, severities):
    found = list(sizes.found(with_sample(subject(cloud=cloud, settings=settings), size)))
    assert [finding.severity for finding in found] == severities
    assert {finding.place for finding in found} <= {"inference/samples.jsonl:2"}


def test_a_shared_endpoint_takes_less(subject):
    taken = with_sample(subject(cloud="gcp"), 1_600_000)
    assert list(sizes.found(taken)) == []
    object.__setattr__(taken.config.gcp, "endpoint", "shared")
    assert "a shared endpoint of Vertex AI takes 1,500,000" in next(sizes.found(taken)).value


def test_a_model_that_may_fill_its_disk_is_a_warning(subject, monkeypatch):
    monkeypatch.setattr(sizes, "VOLUME", 10)
    (found,) = sizes.found(subject(files={"weights.bin": b"a" * 11}))
    assert (found.severity, found.place) == ("warning", "build/model")
