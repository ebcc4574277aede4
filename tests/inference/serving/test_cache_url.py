"""What is read from SLIPWAY_CACHE_URL, and that a password in it is never shown."""

from __future__ import annotations

import pytest

from inference.serving import cache_url, settings
from inference.serving.cache_url import RedisAddress
from inference.serving.errors import StartError


def read(url: str, **more: str) -> RedisAddress | None:
    return cache_url.read({"SLIPWAY_CACHE_URL": url, **more})


def test_an_address_says_all_that_its_url_does():
    assert read("redis://cache") == RedisAddress("cache", 6379)
    assert read("rediss://me:p%40ss@[::1]:7000/3") == RedisAddress("::1", 7000, 3, True, "me", "p@ss")
    assert read("") is None


def test_a_password_may_stand_in_a_variable_that_is_read_later():
    address = read("redis://cache", SLIPWAY_CACHE_PASSWORD_ENV="MINE")
    assert address is not None
    assert [address.secret({}), address.secret({"MINE": "sesame"})] == ["", "sesame"]


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://:sesame@cache", "neither redis:// nor rediss://"),
        ("sesame@cache", "neither redis:// nor rediss://"),
        ("redis://:sesame@", "names no host"),
        ("redis://:sesame@cache:port", "its port"),
        ("redis://:sesame@cache:70000", "its port"),
        ("redis://:sesame@cache/sesame", "number of a database"),
        ("redis://:sesame@cache/-1", "number of a database"),
        ("redis://:sesame@cache?db=1", "behind '?'"),
        ("redis://:ses/ame@cache", "expected redis://"),
        ("redis://:sesame@[cache", "expected redis://"),
    ],
)
def test_what_is_no_address_is_refused_without_repeating_it(url, reason):
    with pytest.raises(StartError) as error:
        read(url)
    assert "SLIPWAY_CACHE_URL" in str(error.value) and reason in str(error.value)
    assert "ses" not in str(error.value)


def test_two_passwords_are_one_too_many():
    with pytest.raises(StartError, match="SLIPWAY_CACHE_PASSWORD_ENV names another"):
        read("redis://:sesame@cache", SLIPWAY_CACHE_PASSWORD_ENV="MINE")


def test_a_password_without_an_address_is_a_mistake():
    with pytest.raises(StartError, match="SLIPWAY_CACHE_PASSWORD_ENV: expected SLIPWAY_CACHE_URL beside it"):
        read("", SLIPWAY_CACHE_PASSWORD_ENV="MINE")


def test_the_settings_show_no_password():
    found = settings.read({"SLIPWAY_CACHE_URL": "redis://me:sesame@cache/2", "SLIPWAY_CACHE_TTL_S": "9"})
    assert found.sharing is not None and found.sharing.ttl_s == 9
    assert found.sharing.address.shown == "redis://cache:6379/2"
    assert "sesame" not in repr(found)


def test_a_job_shares_nothing():
    assert settings.read({"SLIPWAY_CACHE_URL": "redis://cache", "SAGEMAKER_BATCH": "true"}).sharing is None
