"""The labels of everything that is made: whose deployment it is, who pays for it, and when it ends."""

from __future__ import annotations

from typing import Any

from deploy.config import Config
from deploy.gcp import clients, inventory
from deploy.gcp.inventory import OWNER_LABEL
from deploy.plan import is_version_of

PAYER_LABEL, EXPIRES_LABEL = "slipway-owner", "slipway-expires"


def of(config: Config) -> dict[str, str]:
    """The labels by their keys; they make no version another."""
    found = {OWNER_LABEL: config.name, PAYER_LABEL: config.owner, EXPIRES_LABEL: expiry(config)}
    return {key: value for key, value in found.items() if value}


def expiry(config: Config) -> str:
    """The moment, in the letters that a label may have: as ISO 8601 in UTC, without capitals and colons."""
    return f"{config.expires:%Y-%m-%dt%H-%M-%Sz}" if config.expires else ""


def renew(config: Config) -> None:
    """Give all of the deployment that is there this configuration's moment of expiry, or take theirs away."""
    models = clients.models(config.gcp.region)
    listed = models.list_models(
        request={"parent": inventory.place(config), "page_size": 100}, retry=clients.READ
    )
    for model in listed:
        if is_version_of(config.name, inventory.last(model.name)) and _is_stale(config, model):
            models.update_model(request={"model": _renewed(config, model), "update_mask": _LABELS})
    described = inventory.describe(config)
    if described is not None and _is_stale(config, described):
        endpoints = clients.endpoints(config.gcp.region)
        endpoints.update_endpoint(request={"endpoint": _renewed(config, described), "update_mask": _LABELS})


_LABELS = {"paths": ["labels"]}


def _is_stale(config: Config, there: Any) -> bool:
    ours = there.labels.get(OWNER_LABEL) == config.name
    return bool(ours and there.labels.get(EXPIRES_LABEL, "") != expiry(config))


def _renewed(config: Config, there: Any) -> dict[str, Any]:
    kept = {key: value for key, value in there.labels.items() if key != EXPIRES_LABEL}
    new = {EXPIRES_LABEL: expiry(config)} if config.expires else {}
    return {"name": there.name.partition("@")[0], "labels": kept | new}
