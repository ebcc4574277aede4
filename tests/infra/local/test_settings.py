"""The local cloud's settings, from the environment."""

import pytest

from infra.local.settings import SERVE, SettingError, from_environment


def test_without_variables_the_platforms_own_limits_hold() -> None:
    settings = from_environment({"PATH": "/bin"})
    limits = (settings.startup_health_s, settings.ping_timeout_s, settings.invocation_timeout_s)
    assert limits == (480, 2, 60)
    assert (settings.payload_bytes, settings.stop_grace_s) == (25 * 1024 * 1024, 30)
    assert (settings.port, settings.account_id) == (4577, "123456789012")


def test_an_image_runs_the_command_of_its_longest_prefix_or_else_the_kits() -> None:
    images = '{"1.dkr/app": ["app"], "1.dkr/app-two": ["two", "serve"]}'
    settings = from_environment({"SLIPWAY_LOCAL_IMAGES": images})
    assert settings.command_of("1.dkr/app-two:3") == ("two", "serve")
    assert settings.command_of("1.dkr/app:3") == ("app",)
    assert settings.command_of("1.dkr/other") == SERVE


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CONTAINER_COMMAND", "serve"),
        ("CONTAINER_COMMAND", "[]"),
        ("CONTAINER_COMMAND", "[1]"),
        ("IMAGES", '["a"]'),
        ("IMAGES", '{"a": "b"}'),
        ("PAYLOAD_BYTES", "1.5"),
        ("PING_TIMEOUT_S", "nan"),
        ("TIME_SCALE", "0"),
        ("PING_TIMEOUT_S", "inf"),
        ("HOME", ""),
    ],
)
def test_a_value_that_cannot_be_read_is_told(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"SLIPWAY_LOCAL_{name}=.*: expected "):
        from_environment({f"SLIPWAY_LOCAL_{name}": value})
