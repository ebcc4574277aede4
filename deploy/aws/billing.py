"""What SageMaker bills of a deployment: by deploy.toml, now, and what is left of it at the end.

The functions are those of `deploy.money.billing.Billing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from typing import Any

from botocore.exceptions import ClientError

from deploy.aws import clients, inventory, prices, schedules
from deploy.aws.clients import told
from deploy.config import Config
from deploy.money.billing import Running
from deploy.money.machines import Machines, Use
from deploy.sections import Batch

price = prices.price
ends = told()(schedules.ends)
_TYPE = re.compile(r"(?P<family>ml\.[a-z0-9-]+)\.(?P<size>[a-z0-9-]+)")
_SMALL = {"medium": 1, "large": 2, "xlarge": 4}
# What a SageMaker job is while it is billed.
_MOVING = {"InProgress", "Stopping"}
# Of SageMaker's kinds with a tag of ours: what is kept for nothing.
_FREE = {"model", "endpoint-config"}
_JOBS = {"training-job": "TrainingJob", "transform-job": "TransformJob"}


def serving(config: Config) -> Machines | None:
    """What deploy.toml has the endpoint run on; None of a serverless one."""
    if config.endpoint.serverless:
        return None
    scaling, count = config.endpoint.scaling, config.aws.instance_count
    least, most = (scaling.min, scaling.max) if scaling else (count, 0)
    use: Use = "asynchronous" if config.endpoint.asynchronous else "hosting"
    return _machines(config, use, config.aws.instance_type, least, most)


def training(config: Config) -> Machines:
    """What deploy.toml has a training job run on."""
    return _machines(config, "training", config.training.instance_type or config.aws.instance_type)


def scoring(config: Config, settings: Batch) -> Machines:
    """What a transform job with these settings runs on."""
    machine = settings.instance_type or config.aws.instance_type
    return _machines(config, "transform", machine, settings.instance_count)


def _machines(config: Config, use: Use, machine: str, count: int = 1, most: int = 0) -> Machines:
    return Machines("aws", config.aws.region, use, machine, count, most)


def smaller(machines: Machines) -> Machines | None:
    """The next smaller type of the same family that SageMaker hosts on, by botocore's own list."""
    model = clients.sagemaker(machines.region).meta.service_model
    known = model.shape_for("ProductionVariantInstanceType").enum  # type: ignore[attr-defined]
    sizes = {_size(one): one for one in known if _family(one) == _family(machines.type) and _size(one)}
    below = [size for size in sizes if size < _size(machines.type)]
    if not below:
        return None
    return Machines(machines.cloud, machines.region, machines.use, sizes[max(below)], machines.count)


def _family(machine: str) -> str:
    found = _TYPE.fullmatch(machine)
    return found["family"] if found else ""


def _size(machine: str) -> int:
    """How large a type is within its family; 0 where its name does not say."""
    found = _TYPE.fullmatch(machine)
    size = found["size"] if found else ""
    times = re.fullmatch(r"([0-9]+)xlarge", size)
    return 4 * int(times[1]) if times else _SMALL.get(size, 0)


@told()
def running(config: Config) -> Running | None:
    """The endpoint with the machines that it has now; None if there is none."""
    sagemaker = clients.sagemaker(config.aws.region)
    described = inventory.describe(sagemaker, config)
    if not described:
        return None
    types = _types(sagemaker, described.get("EndpointConfigName", ""))
    use: Use = "asynchronous" if "AsyncInferenceConfig" in described else "hosting"
    counts = {v["VariantName"]: v.get("CurrentInstanceCount", 0) for v in described["ProductionVariants"]}
    machines = [
        _machines(config, use, types[name], count)
        for name, count in counts.items()
        if count and name in types
    ]
    return Running(described["CreationTime"].astimezone(UTC), tuple(machines))


def _types(sagemaker: Any, version: str) -> dict[str, str]:
    """The machine of each variant of an endpoint configuration that has one."""
    try:
        variants = sagemaker.describe_endpoint_config(EndpointConfigName=version)["ProductionVariants"]
    except ClientError as error:
        if inventory.is_absent(error.response):
            return {}
        raise
    return {one["VariantName"]: one["InstanceType"] for one in variants if "InstanceType" in one}


@told()
def left(config: Config) -> list[str]:
    """What carries the deployment's tag and is billed: endpoints, jobs that run, and all that is not known.

    AWS's index of tags lags behind: what it names is looked at where it lies. Objects in S3 are not in it;
    those of ours, `traces` and `observed` find.
    """
    client = clients.resource_tags(config.aws.region)
    tag = {"Key": inventory.OWNER_TAG, "Values": [config.name]}
    pages = client.get_paginator("get_resources").paginate(TagFilters=[tag])
    arns = [found["ResourceARN"] for page in pages for found in page["ResourceTagMappingList"]]
    sagemaker = clients.sagemaker(config.aws.region)
    told_of = (_billed(sagemaker, arn) for arn in sorted(arns))
    return [sentence for sentence in told_of if sentence]


def _billed(sagemaker: Any, arn: str) -> str:
    """A sentence for what is billed; empty for what is not, or is gone."""
    service, rest = arn.split(":")[2], arn.split(":", 5)[5]
    kind, _, name = rest.partition("/")
    if service == "logs" or (service == "sagemaker" and kind in _FREE):
        return ""
    if service == "sagemaker" and kind == "endpoint":
        there = _described(lambda: sagemaker.describe_endpoint(EndpointName=name))
        return f"endpoint {name} ({there['EndpointStatus']}), billed by the hour" if there else ""
    if service == "sagemaker" and kind in _JOBS:
        word = _JOBS[kind]
        describe = getattr(sagemaker, f"describe_{kind.replace('-', '_')}")
        state = _described(lambda: describe(**{f"{word}Name": name})).get(f"{word}Status")
        return f"{kind} {name} ({state}), billed until it ends" if state in _MOVING else ""
    return f"{arn}, which may be billed"


def _described(describe: Callable[[], Any]) -> dict[str, Any]:
    try:
        return dict(describe())
    except ClientError as error:
        said = error.response["Error"].get("Message", "").lower()
        if "could not find" in said or "not found" in said:
            return {}
        raise
