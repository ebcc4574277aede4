"""The shared cache in deploy.toml: an address, never a password, and a version of what answers depend on."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.config import Config, ConfigError, container_environment, load

GOOD = """
name = "a"
[aws]
region = "us-east-1"
bucket = "slipway-a"
role = "arn:aws:iam::123456789012:role/slipway-execution"
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/serving:1"
instance_type = "ml.m7i.large"
instance_count = 1
[serving]
"""


def read(folder: Path, serving: str) -> Config:
    (folder / "deploy.toml").write_text(GOOD + serving)
    return load(folder)


def environment(folder: Path, serving: str) -> dict[str, str]:
    return container_environment(read(folder, serving))


def test_the_runtime_is_told_where_the_cache_is(tmp_path):
    found = environment(
        tmp_path, 'cache_url = "rediss://me@cache/1"\ncache_password_env = "MINE"\ncache_ttl_s = 60\n'
    )
    assert len(found.pop("SLIPWAY_CACHE_VERSION")) == 16
    assert found == {
        "SLIPWAY_CACHE_URL": "rediss://me@cache/1",
        "SLIPWAY_CACHE_PASSWORD_ENV": "MINE",
        "SLIPWAY_CACHE_TTL_S": "60",
    }


@pytest.mark.parametrize(
    ("changed", "is_another"),
    [
        ("", False),
        ("max_queue = 9\n", False),
        ('handler = "other.py"\n', True),
        ('[environment]\nTHRESHOLD = "0.7"\n', True),
    ],
)
def test_what_changes_answers_changes_the_version(tmp_path, changed, is_another):
    url = 'cache_url = "redis://cache"\n'
    versions = {environment(tmp_path, url + more)["SLIPWAY_CACHE_VERSION"] for more in ("", changed)}
    assert len(versions) == 1 + is_another


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("redis://:sesame@cache", "cache_url holds a password, and whoever may describe the model"),
        ("redis://me:sesame@cache/0", "cache_url holds a password"),
        ("redis://:ses/ame@cache", "cache_url holds a password"),
        ("redis://:sesame@[cache", "cache_url holds a password"),
        ("http://sesame", "cache_url is no address of a Redis"),
        ("redis:///sesame", "cache_url is no address of a Redis"),
        ("redis://cache/sesame", "cache_url is no address of a Redis"),
        ("redis://cache:port-sesame", "cache_url is no address of a Redis"),
        ("redis://cache?password=sesame", "cache_url is no address of a Redis"),
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(tmp_path, url, reason):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, f'cache_url = "{url}"\n')
    assert f"deploy.toml: [serving]: {reason}" in str(error.value)
    assert "sesame" not in str(error.value) and "ses/ame" not in str(error.value)


@pytest.mark.parametrize("key", ['cache_password_env = "MINE"', "cache_ttl_s = 60"])
def test_a_cache_that_is_nowhere_is_a_mistake(tmp_path, key):
    with pytest.raises(ConfigError, match=f"{key.split()[0]} is there without cache_url"):
        read(tmp_path, key)
