"""AWS::ECR::Repository."""

from __future__ import annotations

from typing import Any

from infra.local.clients import Account
from infra.local.cloudformation.resources.kind import Kind, Properties, arn, camel


def _create(account: Account, name: str, properties: Properties) -> None:
    encryption = properties.get("EncryptionConfiguration")
    said = {"encryptionConfiguration": camel(encryption, {})} if encryption else {}
    account.client("ecr").create_repository(repositoryName=name, **said)


def _settle(account: Account, name: str, new: Properties, old: Properties) -> None:
    ecr = account.client("ecr")
    mutability = new.get("ImageTagMutability", "MUTABLE")
    ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability=mutability)
    scanning = camel(new.get("ImageScanningConfiguration", {"ScanOnPush": False}), {})
    ecr.put_image_scanning_configuration(repositoryName=name, imageScanningConfiguration=scanning)
    if lifecycle := _lifecycle(new):
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=lifecycle)
    elif _lifecycle(old):
        ecr.delete_lifecycle_policy(repositoryName=name)


def _lifecycle(properties: Properties) -> Any:
    return properties.get("LifecyclePolicy", {}).get("LifecyclePolicyText")


def _delete(account: Account, name: str, properties: Properties) -> None:
    account.client("ecr").delete_repository(repositoryName=name)


def _tells(account: Account, name: str, properties: Properties) -> dict[str, str]:
    there = account.client("ecr").describe_repositories(repositoryNames=[name])["repositories"][0]
    uri = str(there["repositoryUri"])
    return {"Ref": name, "Arn": arn(account, "ecr", f"repository/{name}"), "RepositoryUri": uri}


REPOSITORY = Kind(
    frozenset(
        {
            "RepositoryName",
            "ImageTagMutability",
            "ImageScanningConfiguration",
            "EncryptionConfiguration",
            "LifecyclePolicy",
        }
    ),
    "RepositoryName",
    frozenset({"RepositoryName", "EncryptionConfiguration"}),
    _create,
    _settle,
    _delete,
    _tells,
)
