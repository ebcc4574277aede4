"""What a DeployedModel must be before anything starts, and an endpoint's timeout. Pure.

Sources: the messages DeployedModel, DedicatedResources and MachineSpec;
cloud.google.com/vertex-ai/docs/predictions/configure-compute and .../create-public-endpoint
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infra.local.vertex.errors import invalid

Json = dict[str, Any]
DEPLOYED_ID = re.compile(r"[0-9]{1,19}")
RESOURCES = "deployed_model.dedicated_resources"
# N1 takes accelerators beside it; the others are made for theirs.
WITH_ACCELERATORS = re.compile(r"(n1|[ag][0-9]+)-")
TIMEOUT_MOST_S = 3600.0


def checked_deployed(deployed: Json) -> Json:
    """The DeployedModel with its numbers of replicas filled in. Raises GoogleError INVALID_ARGUMENT."""
    if not deployed.get("model"):
        raise invalid("The model of the DeployedModel is required.", "deployed_model.model")
    if deployed.get("id") and not DEPLOYED_ID.fullmatch(deployed["id"]):
        text = f"{deployed['id']!r} is no ID for a DeployedModel: 1 to 19 digits."
        raise invalid(text, "deployed_model.id")
    resources = deployed.get("dedicatedResources")
    if resources is None:
        text = (
            "A custom container's Model supports DEDICATED_RESOURCES only: dedicated_resources is required."
        )
        raise invalid(text, RESOURCES)
    _check_machine(resources.get("machineSpec", {}))
    least = int(resources.get("minReplicaCount", 0))
    most = int(resources.get("maxReplicaCount", 0)) or least
    if least < 1 or most < least:
        text = f"min_replica_count must be 1 or more and at most max_replica_count: {least} and {most}."
        raise invalid(text, f"{RESOURCES}.min_replica_count")
    return {
        **deployed,
        "dedicatedResources": {**resources, "minReplicaCount": least, "maxReplicaCount": most},
    }


def _check_machine(spec: Json) -> None:
    place = f"{RESOURCES}.machine_spec"
    if not spec.get("machineType"):
        raise invalid("The machine_type of the DeployedModel is required.", f"{place}.machine_type")
    kind, count = spec.get("acceleratorType", ""), int(spec.get("acceleratorCount", 0))
    if bool(kind) != (count > 0):
        text = "accelerator_type and an accelerator_count of 1 or more must be given together."
        raise invalid(text, f"{place}.accelerator_count")
    if kind and not WITH_ACCELERATORS.match(spec["machineType"]):
        text = f'The machine type "{spec["machineType"]}" supports no accelerators: {kind}.'
        raise invalid(text, f"{place}.accelerator_type")


def check_timeout(endpoint: Mapping[str, Any]) -> None:
    """Raises GoogleError INVALID_ARGUMENT for a timeout that no endpoint can have."""
    seconds = timeout_s(endpoint, 1.0)
    if not 0 < seconds <= TIMEOUT_MOST_S:
        text = f"inference_timeout must be more than 0 and at most {TIMEOUT_MOST_S:g} seconds: {seconds:g}."
        raise invalid(text, "endpoint.client_connection_config.inference_timeout")


def timeout_s(endpoint: Mapping[str, Any], default: float) -> float:
    """How long a prediction on a dedicated endpoint may take."""
    text = str(endpoint.get("clientConnectionConfig", {}).get("inferenceTimeout", ""))
    return float(text.removesuffix("s")) if text else default
