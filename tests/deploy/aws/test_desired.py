"""What is wanted of SageMaker: literal requests, and names that change with what they stand for."""

from pathlib import Path

import pytest

from deploy import aws, config
from deploy.package import Archive

TAGS = [{"Key": "slipway:deployment", "Value": "iris"}]


def test_what_is_wanted_is_these_four_requests(project):
    place = project("iris")
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text + '[serving]\nmax_queue = 9\n[environment]\nLOG_LEVEL = "info"\n')
    archive = Archive(Path("build/model.tar.gz"), "0123456789ab" + "c" * 52, 1, 1)
    wanted = aws.desired(config.load(place), archive)
    role = "arn:aws:iam::123456789012:role/slipway-execution"
    container = {
        "Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1",
        "ModelDataUrl": "s3://slipway-tests/iris/0123456789ab/model.tar.gz",
        "Environment": {
            "LOG_LEVEL": "info",
            "SLIPWAY_MAX_QUEUE": "9",
            "SLIPWAY_MANIFEST_SHA256": "0123456789ab" + "c" * 52,
        },
    }
    variant = {
        "VariantName": "AllTraffic",
        "ModelName": "iris-a61542639f8d",
        "InstanceType": "ml.m7i.large",
        "InitialInstanceCount": 1,
    }
    assert [(resource.kind, resource.name, resource.params) for resource in wanted] == [
        (
            "archive",
            "iris/0123456789ab/model.tar.gz",
            {
                "Filename": "build/model.tar.gz",
                "Bucket": "slipway-tests",
                "Key": "iris/0123456789ab/model.tar.gz",
                "ExtraArgs": {"ExpectedBucketOwner": "123456789012", "Tagging": "slipway%3Adeployment=iris"},
            },
        ),
        (
            "model",
            "iris-a61542639f8d",
            {
                "ModelName": "iris-a61542639f8d",
                "PrimaryContainer": container,
                "ExecutionRoleArn": role,
                "Tags": TAGS,
            },
        ),
        (
            "endpoint_config",
            "iris-2ad1b4bba3ed",
            {"EndpointConfigName": "iris-2ad1b4bba3ed", "ProductionVariants": [variant], "Tags": TAGS},
        ),
        (
            "endpoint",
            "iris",
            {"EndpointName": "iris", "EndpointConfigName": "iris-2ad1b4bba3ed", "Tags": TAGS},
        ),
    ]


@pytest.mark.parametrize(
    ("change", "same"),
    [
        (('instance_type = "ml.m7i.large"', 'instance_type = "ml.c7i.large"'), {"archive", "model"}),
        (("slipway-serving:1", "slipway-serving:2"), {"archive"}),
        (("role/slipway-execution", "role/another"), {"archive"}),
        (("[aws]", '[environment]\nA = "1"\n[aws]'), {"archive"}),
        (("[aws]", "keep_versions = 5\n[aws]"), {"archive", "model", "endpoint_config"}),
    ],
)
def test_a_changed_setting_makes_another_version_of_what_it_reaches(project, change, same):
    place = project("iris")
    archive = Archive(Path("a"), "0" * 64, 1, 1)
    before = aws.desired(config.load(place), archive)
    (place / "deploy.toml").write_text((place / "deploy.toml").read_text().replace(*change))
    after = aws.desired(config.load(place), archive)
    kept = {old.kind for old, new in zip(before, after, strict=True) if old == new}
    assert kept - {"endpoint"} == same
