"""What infra/aws/template.yaml leaves open, and what it is given. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase

from deploy.config import Config
from deploy.image.recipes import REPOSITORY
from deploy.target import CloudError

# What a person may set of the template's parameters; deploy.toml says the others.
SETTINGS = (
    "DeploymentNames",
    "InvokedEndpoint",
    "DataPrefix",
    "InstanceTypes",
    "Email",
    "Amount",
    "LogDays",
)
JOB_NAME = 36  # characters of a deployment's name in that of a job; see deploy.training.addresses


def stack_name(config: Config) -> str:
    """The stack's name. It is the bucket's, so that `imagebuilds` finds the build project without asking."""
    return f"slipway-{config.aws.bucket.replace('.', '-')}"


def check(settings: Mapping[str, str]) -> None:
    """Raise CloudError for a setting that there is not."""
    if strangers := sorted(settings.keys() - set(SETTINGS)):
        raise CloudError(f"infra has no setting {strangers[0]!r}, expected one of {', '.join(SETTINGS)}")


def parameters(config: Config, settings: Mapping[str, str], before: Mapping[str, str]) -> dict[str, str]:
    """Each parameter: what deploy.toml says, then what is set, then what the stack has from `before`.

    Raises CloudError for a stack that is another bucket's, or whose roles are not for this deployment.
    """
    bucket = config.aws.bucket
    if before.get("BucketName", bucket) != bucket:
        raise CloudError(
            f"deploy.toml: [aws]: bucket {bucket!r} and {before['BucketName']!r} would share the stack "
            f"{stack_name(config)}: name another bucket"
        )
    own = {key: before[key] for key in SETTINGS if key in before} | dict(settings)
    names = own.setdefault("DeploymentNames", config.name)
    _check_names(config, names)
    own.setdefault("InvokedEndpoint", config.name)
    *path, role = config.aws.role.split(":role/")[1].split("/")
    return {
        "BucketName": bucket,
        "ExecutionRoleName": role,
        "ExecutionRolePath": "/" + "".join(f"{part}/" for part in path),
        "RepositoryName": _repository(config),
        "JobNames": names if len(names) <= JOB_NAME else f"{names[:JOB_NAME].rstrip('-')}*",
        **own,
    }


def _check_names(config: Config, names: str) -> None:
    if not fnmatchcase(config.name, names):
        raise CloudError(
            f"the roles of stack {stack_name(config)} are for deployments named {names!r}, and deploy.toml's "
            f"name is {config.name!r}: give a pattern that holds for all that share the bucket, such as "
            "SET='DeploymentNames=team-*', or name another bucket"
        )


def _repository(config: Config) -> str:
    """The repository of the image where it lies in the account's own registry, else that of the kit's own."""
    host, _, rest = config.aws.image.partition("/")
    if not host.startswith(f"{config.aws.account}.dkr.ecr.{config.aws.region}."):
        return REPOSITORY
    return re.split("[:@]", rest)[0]
