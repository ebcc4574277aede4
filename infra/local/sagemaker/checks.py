"""The rules of a request that SageMaker's service model does not hold, each refused in SageMaker's words.

Pure: what is there is given, nothing is asked. The sentences marked [A] are those of public issue threads;
the others are ours, since no public text of SageMaker's for them is known.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from infra.local.errors import AwsError

ENVIRONMENT_ENTRIES, ENVIRONMENT_BYTES, ENTRY_BYTES = 100, 32 * 1024, 1024
ECR_IMAGE = re.compile(
    r"\d{12}\.dkr\.ecr(-fips)?\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/[a-z0-9][a-z0-9._/-]*"
    r"([:@][A-Za-z0-9_][A-Za-z0-9._:-]*)?"
)
NOUNS = {
    "model": "model",
    "endpoint-config": "endpoint configuration",
    "endpoint": "endpoint",
    "transform-job": "transform job",
    "training-job": "training job",
}
SERVERLESS_MB = (1024, 2048, 3072, 4096, 5120, 6144)
ENDED = ("InService", "Failed", "UpdateRollbackFailed", "OutOfService")


def refusal(message: str) -> AwsError:
    """The one error that SageMaker's control plane has for a request it cannot do."""
    return AwsError(400, "ValidationException", message)


def missing(arn: str) -> AwsError:
    """What an unknown model, endpoint configuration or endpoint is answered with [A]."""
    return refusal(f'Could not find {_noun(arn)} "{arn}".')


def already_there(arn: str) -> AwsError:
    """What a taken name is answered with [A]."""
    return refusal(f'Cannot create already existing {_noun(arn)} "{arn}".')


def container_of(model: Mapping[str, Any]) -> dict[str, Any]:
    """The one container of a CreateModel request or a DescribeModel answer."""
    given = [model["PrimaryContainer"]] if model.get("PrimaryContainer") else []
    containers = [*given, *model.get("Containers", ())]
    if len(containers) != 1:
        raise refusal(
            f"CreateModel with {len(containers)} containers: give one, as PrimaryContainer or in Containers. "
            "Inference pipelines are not run locally."
        )
    container: dict[str, Any] = containers[0]
    return container


def image(uri: str | None) -> None:
    """An image must lie in ECR [A]."""
    if not uri:
        raise refusal("The container has no Image: expected ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG.")
    if not ECR_IMAGE.fullmatch(uri):
        raise refusal(f'Using non-ECR image "{uri}" without Vpc repository access mode is not supported.')


def model_data(container: Mapping[str, Any]) -> str:
    """The s3:// URL of a container's one archive, "" if it has none."""
    source = (container.get("ModelDataSource") or {}).get("S3DataSource")
    if source and (source["S3DataType"], source["CompressionType"]) != ("S3Object", "Gzip"):
        raise refusal("ModelDataSource: only S3DataType S3Object with CompressionType Gzip is run locally.")
    url: str = source["S3Uri"] if source else container.get("ModelDataUrl", "")
    if url and not re.fullmatch(r"s3://[^/]+/.+\.tar\.gz", url):
        raise refusal(f'Invalid model data URL "{url}": expected one s3://BUCKET/KEY that ends in .tar.gz.')
    return url


def model_data_missing(url: str) -> AwsError:
    """No object is there [A]."""
    return refusal(f"Could not find model data at {url}.")


def model_data_closed(url: str, role: str, region: str) -> AwsError:
    """The bucket is another account's [A]."""
    return refusal(
        f'Could not access model data at {url}. Please ensure that the role "{role}" exists and that its '
        'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com". Also ensure that the role has "s3:GetObject" permissions and that the '
        f"object is located in {region}."
    )


def role_invalid(arn: str | None) -> AwsError:
    """The role is not there, or does not let SageMaker assume it [A]."""
    return refusal(
        f'The execution role ARN "{arn or ""}" is invalid. Please ensure that the role exists and that its '
        'trust relationship policy allows the action "sts:AssumeRole" for the service principal '
        '"sagemaker.amazonaws.com".'
    )


def environment(variables: Mapping[str, str]) -> None:
    """At most 100 entries, 1,024 bytes each key and value, 32 KB in all."""
    sizes = [(name, len(name.encode()), len(value.encode())) for name, value in variables.items()]
    total = sum(key + value for _, key, value in sizes)
    if len(sizes) > ENVIRONMENT_ENTRIES:
        raise refusal(f"Environment has {len(sizes)} entries, at most {ENVIRONMENT_ENTRIES} are allowed.")
    for name, key, value in sizes:
        if max(key, value) > ENTRY_BYTES:
            what = f"Environment variable {name[:64]} has {max(key, value)} bytes"
            raise refusal(f"{what}, at most {ENTRY_BYTES} are allowed for a key or a value.")
    if total > ENVIRONMENT_BYTES:
        raise refusal(f"Environment has {total} bytes in all, at most {ENVIRONMENT_BYTES} are allowed.")


def endpoint_config(request: Mapping[str, Any]) -> None:
    """Names are unique, each variant is one model on instances or serverless, and what excludes another."""
    given = request["ProductionVariants"]
    unique([variant["VariantName"] for variant in given])
    for number, variant in enumerate(given, start=1):
        place = f"productionVariants.{number}.member"
        if variant.get("ServerlessConfig"):
            _serverless(variant, f"{place}.serverlessConfig")
            continue
        for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
            if not variant.get(member):
                name = member[0].lower() + member[1:]
                raise refusal(
                    f"1 validation error detected: Value null at '{place}.{name}' failed to satisfy "
                    "constraint: Member must not be null"
                )


def _serverless(variant: Mapping[str, Any], place: str) -> None:
    config = variant["ServerlessConfig"]
    memory, concurrency = config["MemorySizeInMB"], config["MaxConcurrency"]
    if memory not in SERVERLESS_MB:
        sizes = ", ".join(str(size) for size in SERVERLESS_MB)
        raise refusal(f"{place}.memorySizeInMB is {memory}, expected one of {sizes}.")
    if config.get("ProvisionedConcurrency", 0) > concurrency:
        raise refusal(f"{place}.provisionedConcurrency is above the maxConcurrency of {concurrency}.")
    if named := [one for one in ("InstanceType", "InitialInstanceCount") if variant.get(one)]:
        raise refusal(f"{place} and {named[0]} were both given: a serverless variant has no instances.")


def serverless_alone(request: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> None:
    """What a serverless endpoint cannot have. Source: developer guide, serverless-endpoints, exclusions."""
    variants = request["ProductionVariants"]
    if not any(one.get("ServerlessConfig") for one in variants):
        return
    excluded = {
        "multiple production variants": len(variants) > 1,
        "data capture": request.get("DataCaptureConfig"),
        "asynchronous inference": request.get("AsyncInferenceConfig"),
        "VPC configuration": any(model.get("VpcConfig") for model in models),
        "network isolation": any(model.get("EnableNetworkIsolation") for model in models),
    }
    if found := [what for what, is_there in excluded.items() if is_there]:
        raise refusal(f"Serverless endpoints do not support {found[0]}.")


def convertible(is_serverless: bool, becomes_serverless: bool) -> None:
    """An endpoint on instances cannot become serverless. Source: developer guide, serverless-endpoints."""
    if becomes_serverless and not is_serverless:
        raise refusal("Cannot update an endpoint on instances to a serverless endpoint configuration.")


def unique(names: Sequence[str]) -> None:
    """A variant is named once in a request [A]."""
    for name in names:
        if names.count(name) > 1:
            raise refusal(f'The variant name "{name}" was non-unique within the request.')


def updatable(arn: str, status: str) -> None:
    """UpdateEndpoint takes an endpoint in service; a failed one takes nothing but DeleteEndpoint [A]."""
    if status in ("Failed", "UpdateRollbackFailed"):
        raise refusal(f'Cannot update failed endpoint "{arn}".')
    if status != "InService":
        raise in_progress(arn)


def deletable(arn: str, status: str) -> None:
    """DeleteEndpoint waits for no one: an endpoint that changes is refused [A]."""
    if status not in ENDED:
        raise in_progress(arn)


def in_progress(arn: str) -> AwsError:
    """The endpoint is Creating, Updating, RollingBack or Deleting [A]."""
    return refusal(f'Cannot update in-progress endpoint "{arn}".')


def scaled(resource: str) -> AwsError:
    """The update would change the instance type of a variant that is scaled automatically."""
    return refusal(
        f"The update changes the instance type of {resource}, which is a target of automatic scaling: "
        "deregister it first."
    )


def alarm_missing(name: str) -> AwsError:
    """An auto-rollback configuration names an alarm that is not there."""
    return refusal(
        f'The alarm "{name}" in deploymentConfig.autoRollbackConfiguration could not be found. Please make '
        'sure that it exists and that the role has the permission "cloudwatch:DescribeAlarms".'
    )


def known_variants(names: Sequence[str], there: Sequence[str], config: str) -> None:
    """UpdateEndpointWeightsAndCapacities names each variant once, and only those that are there [A]."""
    unique(names)
    if strange := [name for name in names if name not in there]:
        shown = ", ".join(strange)
        raise refusal(
            f'The variant name(s) "{shown}" is/are not present within endpoint configuration "{config}".'
        )


def _noun(arn: str) -> str:
    return NOUNS[arn.split(":")[5].split("/")[0]]
