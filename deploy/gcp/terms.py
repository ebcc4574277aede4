"""On what terms a version is deployed: its machine, its account, its timeout, its labels.

A Vertex endpoint keeps nothing of what was undeployed, so the model says it, in its description and its
labels: whoever deploys that version again, by a rollback too, deploys it on the same terms.
"""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from deploy.config import Config
from deploy.gcp import clients, inventory, labelling
from deploy.gcp.inventory import SERVED_LABEL
from deploy.target import CloudError

# Source: cloud.google.com/vertex-ai/docs/predictions/choose-endpoint-type
LIMITS = {"dedicated": (10_000_000, 600), "shared": (1_500_000, 60)}  # bytes of a body, seconds of an answer
# Source: the Vertex AI API's AutoscalingMetricSpec
_METRICS = {
    "cpu": "aiplatform.googleapis.com/prediction/online/cpu/utilization",
    "accelerator": "aiplatform.googleapis.com/prediction/online/accelerator/duty_cycle",
}
_TIMEOUT = "timeout_s"  # in a description, beside the DeployedModel's own fields


def description(config: Config) -> str:
    """The terms of this configuration, as a model's description has them."""
    timeout = {_TIMEOUT: config.gcp.timeout_s} if config.gcp.timeout_s else {}
    return json.dumps({**_deployed(config), **timeout}, sort_keys=True)


def _deployed(config: Config) -> dict[str, Any]:
    """What a DeployedModel is but for its model: the machine, and who it runs as."""
    gcp = config.gcp
    resources = {
        "machine_spec": machine(config),
        "min_replica_count": gcp.min_replicas,
        "max_replica_count": gcp.max_replicas or gcp.min_replicas,
        **_scaling(config),
    }
    account = {"service_account": gcp.service_account} if gcp.service_account else {}
    return {"dedicated_resources": resources, **account}


def _scaling(config: Config) -> dict[str, Any]:
    """The DedicatedResources' fields for [endpoint.scaling]; a target that is left out is Vertex AI's."""
    asked = config.endpoint.scaling
    if asked is None:
        return {}
    targets = {"cpu": asked.cpu, "accelerator": asked.accelerator}
    specs = [{"metric_name": _METRICS[word], "target": target} for word, target in targets.items() if target]
    counts = {"min_replica_count": asked.min, "max_replica_count": asked.max}
    return {**counts, **({"autoscaling_metric_specs": specs} if specs else {})}


def machine(config: Config) -> dict[str, Any]:
    """The MachineSpec of what serves."""
    gcp = config.gcp
    accelerator = {"accelerator_type": gcp.accelerator_type, "accelerator_count": gcp.accelerator_count}
    return {"machine_type": gcp.machine_type, **(accelerator if gcp.accelerator_type else {})}


def labels(config: Config) -> dict[str, str]:
    """What everything of this deployment is labelled with."""
    return {**config.gcp.labels, **labelling.of(config)}


def connection(config: Config) -> dict[str, Any]:
    """An endpoint's field for its timeout; nothing where Vertex AI's own is to hold."""
    return _connection(config.gcp.timeout_s) if config.gcp.timeout_s else {}


def _connection(seconds: int) -> dict[str, Any]:
    return {"client_connection_config": {"inference_timeout": timedelta(seconds=seconds)}}


def model_of(config: Config, version: str) -> Any:
    """The version's model. Raises Google's own NotFound."""
    name = inventory.model_name(config, version)
    return clients.models(config.gcp.region).get_model(name=name, retry=clients.READ)


def deployed_model(config: Config, model: Any) -> dict[str, Any]:
    """The DeployedModel that the model asks for."""
    version = inventory.last(model.name)
    how = {name: value for name, value in _told(model).items() if name != _TIMEOUT}
    return {"model": inventory.model_name(config, version), "display_name": version, **how}


def labels_of(model: Any) -> dict[str, str]:
    """The labels of an endpoint that serves the model."""
    return {name: text for name, text in model.labels.items() if name != SERVED_LABEL}


def retimed(described: Any, model: Any) -> dict[str, Any]:
    """The endpoint's field for its timeout where the model wants another; else nothing."""
    usual = LIMITS["dedicated"][1]
    wanted = int(_told(model).get(_TIMEOUT, usual))
    differs = wanted != (_seconds(described) or usual)
    return _connection(wanted) if described.dedicated_endpoint_enabled and differs else {}


def kind(described: Any) -> str:
    """The word of deploy.toml for what an endpoint is."""
    return "dedicated" if described.dedicated_endpoint_enabled else "shared"


def limits(described: Any) -> str:
    """What an endpoint takes, in words."""
    return sentence(kind(described), _seconds(described))


def sentence(kind: str, seconds: float = 0) -> str:
    """What an endpoint of that kind takes; `seconds` is a timeout of its own, 0 for the usual one."""
    size, usual = LIMITS[kind]
    return f"a {kind} endpoint: bodies to {size / 1e6:g} MB, answers within {seconds or usual:g} s"


def _seconds(described: Any) -> float:
    """The timeout that was set; 0 if none was."""
    return float(described.client_connection_config.inference_timeout.total_seconds())


def _told(model: Any) -> dict[str, Any]:
    try:
        return dict(json.loads(model.description))
    except (TypeError, ValueError) as error:
        raise CloudError(
            f"model {inventory.last(model.name)!r} says no more how it is deployed: somebody has changed its "
            "description; `destroy` and deploy again"
        ) from error
