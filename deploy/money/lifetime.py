"""TTL: how long a deployment is to last before it removes its endpoint itself. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from deploy.config import FILE, Config, ConfigError

# What the schedule needs that does it, as its cloud's section of deploy.toml has it.
_NEEDS = {
    "aws": (
        "scheduler_role",
        "the ARN of the role that EventBridge Scheduler takes on",
        "arn:aws:iam::123456789012:role/slipway-scheduler",
    ),
    "gcp": (
        "scheduler_account",
        "the e-mail address of the service account that Cloud Scheduler calls as",
        "scheduler@my-company-models.iam.gserviceaccount.com",
    ),
}


def ending(config: Config, cloud: str, ttl: timedelta, now: datetime) -> Config:
    """The configuration of a deployment that ends by itself, `ttl` from `now` and at a whole minute.

    Raises ConfigError where deploy.toml does not say who ends it.
    """
    key, what, example = _NEEDS[cloud]
    if not getattr(getattr(config, cloud), key):
        right = f'{what}, such as "{example}"'
        raise ConfigError(f"{FILE}: [{cloud}]: {key} is missing, expected with TTL {right}")
    # Cloud Scheduler knows no seconds, and EventBridge's schedules run within the minute.
    return config.ending((now + ttl + timedelta(seconds=59)).replace(second=0, microsecond=0))
