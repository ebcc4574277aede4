"""The endpoint: the one resource that moves from version to version, by operations that take minutes.

Vertex AI has no update of an endpoint as a whole: a version is deployed beside the one that serves and takes
the traffic when it answers, at once or in parts, and then the one before is undeployed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from google.api_core.exceptions import GoogleAPICallError, NotFound

from deploy.config import Config
from deploy.gcp import clients, errors, inventory, steps, terms
from deploy.gcp.steps import Move
from deploy.target import CloudError, NotServed, Refused, Say

FIRST_POLL_S, LAST_POLL_S = 0.1, 15.0
PATIENCE_S = 3 * 3600.0
_CREATES = ("parent", "endpoint_id", "endpoint")
THIS = "0"  # Source: DeployModelRequest.traffic_split: the model that is being deployed


def settled(config: Config, say: Say) -> None:
    """Return once no operation is at work on the endpoint."""

    def ended() -> bool:
        going = inventory.running(config) if inventory.describe(config) else []
        say(f"{len(going)} operations at work" if going else "at rest")
        return not going

    _until(ended, f"endpoint {config.name!r}")


def make(move: Move) -> None:
    """Make the change of the endpoint and return when it has happened."""
    config, change = move.config, move.change
    if change.action == "delete":
        _remove(config, move.say)
        return
    with clients.told(Refused):
        _refuse_a_second(config)
        if change.action == "create":
            request = {member: change.resource.params[member] for member in _CREATES}
            made = clients.endpoints(config.gcp.region).create_endpoint(request=request)
            finished(made, move.say, "creating")
    _serve(move)


def _refuse_a_second(config: Config) -> None:
    if inventory.describe(config) and inventory.running(config):
        raise Refused(
            f"endpoint {config.name!r} is being changed by somebody else: give the same command again when "
            "that has ended"
        )


def _serve(move: Move) -> None:
    """Give the version the traffic, deployed first if it is not; then take away what served before."""
    config, version, since = move.config, move.change.resource.version, datetime.now(UTC)
    described = _described(config)
    rest = steps.heir(described, version)
    first = steps.shares(move.change)[0] if rest else 100
    _mark_as_served(config, [one for one in inventory.serving(described) if one != version])
    if there := _deployed(described, version):
        steps.give(config, described, steps.split(there.id, first, rest))
    else:
        _deploy(move, steps.split(THIS, first, rest))
    if rest:
        _take_over(move, rest, since)
    _agree(config, version, move.say)
    _undeploy_others(config, version, move.say)


def _deployed(described: Any, version: str) -> Any:
    return next((one for one in described.deployed_models if inventory.last(one.model) == version), None)


def _take_over(move: Move, rest: str, since: datetime) -> None:
    """Part after part, to all; where that does not go well, the one before gets it back. Raises NotServed."""
    config, version = move.config, move.change.resource.version
    described = _described(config)
    new = _deployed(described, version)
    if new is None:
        raise CloudError(f"endpoint {config.name!r} has lost {version}: somebody changes it, too")
    try:
        steps.go_on(move, described, new.id, rest)
    except steps.Unwell as error:
        steps.give(config, described, {rest: 100})
        _undeploy(config, new, move.say)
        serving = _still_served(config)
        raise NotServed(
            f"endpoint {config.name!r} did not take {version}: {error} ({serving})", since
        ) from error


def _described(config: Config) -> Any:
    with clients.told():
        described = inventory.describe(config)
    if described is None:
        raise CloudError(f"endpoint {config.name!r} is gone: somebody has deleted it meanwhile")
    return described


def _deploy(move: Move, split: dict[str, int]) -> None:
    config, version, since = move.config, move.change.resource.version, datetime.now(UTC)
    try:
        request = {
            "endpoint": inventory.endpoint_name(config),
            "deployed_model": terms.deployed_model(config, terms.model_of(config, version)),
            "traffic_split": split,
        }
        operation = clients.endpoints(config.gcp.region).deploy_model(request=request)
        since = operation.metadata.generic_metadata.create_time or since
        finished(operation, move.say, "deploying")
    except GoogleAPICallError as error:
        gcp, serving = config.gcp, _still_served(config)
        why = errors.of_machine(str(error.message), gcp.machine_type, gcp.region)
        raise NotServed(
            f"endpoint {config.name!r} did not take {version}: {why} ({serving})", since
        ) from error


def _still_served(config: Config) -> str:
    described = inventory.describe(config)
    serving = ", ".join(inventory.serving(described)) if described else ""
    return f"it still serves {serving}" if serving else "it serves nothing"


def _mark_as_served(config: Config, versions: list[str]) -> None:
    """Label what serves, before another takes its place: only what served can be rolled back to."""
    # A label's value has neither capitals nor colons; these still sort by time.
    now = datetime.now(UTC).strftime("%Y-%m-%dt%H-%M-%S-%fz")
    client = clients.models(config.gcp.region)
    for version in versions:
        try:
            model = client.get_model(name=inventory.model_name(config, version), retry=clients.READ)
        except NotFound:
            continue
        labels = {**model.labels, inventory.SERVED_LABEL: now}
        described = {"name": inventory.model_name(config, version), "labels": labels}
        client.update_model(request={"model": described, "update_mask": {"paths": ["labels"]}})


def _agree(config: Config, version: str, say: Say) -> None:
    """Give the endpoint the labels and the timeout of the version that it serves now."""
    described, client = _described(config), clients.endpoints(config.gcp.region)
    model = terms.model_of(config, version)
    if (labels := terms.labels_of(model)) != dict(described.labels):
        labelled = {"name": described.name, "labels": labels}
        client.update_endpoint(request={"endpoint": labelled, "update_mask": {"paths": ["labels"]}})
    if timeout := terms.retimed(described, model):
        timed = {"endpoint": {"name": described.name, **timeout}}
        finished(client.update_endpoint_long_running(request=timed), say, "setting the timeout")


def _undeploy_others(config: Config, version: str, say: Say) -> None:
    described = _described(config)
    if inventory.serving(described) != [version]:
        serving = ", ".join(inventory.serving(described)) or "nothing"
        raise CloudError(
            f"endpoint {config.name!r} serves {serving} in place of {version}: somebody changes it, too; "
            "give the same command again"
        )
    for one in described.deployed_models:
        if inventory.last(one.model) != version:
            _undeploy(config, one, say)


def _undeploy(config: Config, deployed: Any, say: Say, heir: str = "") -> None:
    """Undeploy one; what has traffic may go only where its `heir` gets all of it, or as the last."""
    request = {
        "endpoint": inventory.endpoint_name(config),
        "deployed_model_id": deployed.id,
        "traffic_split": {heir: 100} if heir else {},
    }
    finished(
        clients.endpoints(config.gcp.region).undeploy_model(request=request),
        say,
        f"undeploying {inventory.last(deployed.model)}",
    )


def _remove(config: Config, say: Say) -> None:
    """Undeploy all, and delete the endpoint; one that is gone is no error."""
    described = inventory.describe(config)
    if described is None:
        return
    *others, final = [*described.deployed_models] or [None]
    for one in others:
        _undeploy(config, one, say, heir=final.id)
    if final:
        _undeploy(config, final, say)
    deleted = clients.endpoints(config.gcp.region).delete_endpoint(name=inventory.endpoint_name(config))
    finished(deleted, say, "deleting")


def finished(operation: Any, say: Say, what: str) -> None:
    """Return when the long-running operation has ended well; GoogleAPICallError with its reason if not."""

    def ended() -> bool:
        say(what)
        return bool(operation.done())

    _until(ended, what)
    if error := operation.exception():
        raise error


def _until(ended: Callable[[], bool], what: str) -> None:
    start = time.monotonic()
    while not ended():
        waited = time.monotonic() - start
        if waited > PATIENCE_S:
            raise CloudError(f"{what} has not ended after {waited / 3600:.0f} hours")
        # Often at first, when a change may take a second; ever less often when it takes minutes.
        time.sleep(min(LAST_POLL_S, max(FIRST_POLL_S, waited / 10)))
