"""TTL: what may be given, and what deploy.toml must say for it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy import aws, config, options
from deploy.money import lifetime
from deploy.package import Archive

NOW = datetime(2026, 11, 23, 7, 30, 5, 123, tzinfo=UTC)
WHO = {
    "aws": ('scheduler_role = "arn:aws:iam::123456789012:role/ends"', "[aws]: scheduler_role is missing"),
    "gcp": ('scheduler_account = "ends@p.iam.gserviceaccount.com"', "[gcp]: scheduler_account is missing"),
}


@pytest.fixture
def place(project):
    return project("iris")


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_end_is_at_a_whole_minute_not_before_the_time_is_over(place, cloud):
    text = (place / "deploy.toml").read_text()
    (place / "deploy.toml").write_text(text.replace(f"[{cloud}]\n", f"[{cloud}]\n{WHO[cloud][0]}\n"))
    ends = lifetime.ending(config.load(place), cloud, timedelta(hours=4), NOW).expires
    assert ends == datetime(2026, 11, 23, 11, 31, tzinfo=UTC)


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_without_who_ends_it_deploy_toml_is_refused_by_place_and_with_what_is_right(place, cloud):
    with pytest.raises(config.ConfigError) as refused:
        lifetime.ending(config.load(place), cloud, timedelta(hours=4), NOW)
    assert str(refused.value).startswith(f"deploy.toml: {WHO[cloud][1]}, expected with TTL the ")
    assert ", such as " in str(refused.value)


@pytest.mark.parametrize("given", ["0", "0m", "5y", "1826d", "4 h", "-4h", "4H", "1.5h", "", "40s"])
def test_another_ttl_than_a_minute_to_a_year_is_wrong_usage_and_says_what_is_right(given, capsys):
    with pytest.raises(SystemExit) as stopped:
        options.parser().parse_args(["deploy-endpoint", f"--ttl={given}"])
    assert stopped.value.code == 2
    assert f"{given!r}: expected a whole number and m, h or d, from 1m to 364d" in capsys.readouterr().err


@pytest.mark.parametrize(("given", "time"), [("1m", timedelta(minutes=1)), ("364d", timedelta(days=364))])
def test_the_shortest_and_the_longest_ttl_are_taken(given, time):
    assert options.parser().parse_args(["plan", "--ttl", given]).ttl == time


def test_no_name_changes_with_an_owner_or_an_end_and_the_tags_do(place):
    archive = Archive(Path("build/model.tar.gz"), "0" * 64, 1, 1)
    whole = config.load(place)
    text = (place / "deploy.toml").read_text()
    text = text.replace("[aws]\n", f"[aws]\n{WHO['aws'][0]}\n")
    (place / "deploy.toml").write_text('owner = "forecasts"\n' + text)
    owned = config.load(place).ending(NOW)
    names = [
        [(one.kind, one.name) for one in aws.desired(given, archive) if one.kind != "schedule"]
        for given in (whole, owned)
    ]
    assert names[0] == names[1]
    (model,) = (one for one in aws.desired(owned, archive) if one.kind == "model")
    assert {tag["Key"]: tag["Value"] for tag in model.params["Tags"]} == {
        "slipway:deployment": "iris",
        "slipway:owner": "forecasts",
        "slipway:expires": "2026-11-23T07:30:05Z",
    }
