"""What a training container gets: its configuration files, its variables, its command.

Source: SageMaker's developer guide, your-algorithms-training-algo-running-container. SM_* variables are none
of it: script mode, which is a program in the container, makes them of these files.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from infra.local import environments
from infra.local.engines.asked import Asked, Folder
from infra.local.processes import Command
from infra.local.sagemaker.trainings.paths import OPT_ML, Folders
from infra.local.sagemaker.trainings.states import Job
from infra.local.settings import Settings

HOST = "algo-1"
GROUP = "homogeneousCluster"
# The channels that carry programs, and which of their files are rewritten.
PROGRAMS: Mapping[str, tuple[str, ...]] = {"sm_drivers": ("",), "code": (".py", ".sh")}


def make(folders: Folders, job: Job) -> None:
    """Makes the folders of a container with its configuration in them, and its Python environment."""
    folders.make()
    if not folders.literal:  # an image has its own
        environments.make(folders.python)
    for name, content in configuration(folders, job).items():
        (folders.config / name).write_text(json.dumps(content))


def configuration(folders: Folders, job: Job) -> dict[str, Any]:
    """The files of /opt/ml/input/config by name."""
    given = job.request.get("HyperParameters", {})
    return {
        "hyperparameters.json": {name: folders.rewritten(value) for name, value in given.items()},
        "resourceconfig.json": _resources(
            job.request["ResourceConfig"]["InstanceType"], "eth0" if folders.literal else "lo"
        ),
        "inputdataconfig.json": {
            one["ChannelName"]: _channel(one) for one in job.request.get("InputDataConfig", ())
        },
    }


def command(folders: Folders, job: Job, settings: Settings) -> Command:
    """The container's command: the entry point that the job gives, or what its image does with `train`."""
    given = job.request["AlgorithmSpecification"]
    words = [
        *(given.get("ContainerEntrypoint") or settings.training_command),
        *given.get("ContainerArguments", ()),
    ]
    return Command(
        argv=tuple(folders.rewritten(word) for word in words),
        env=variables(folders, job),
        cwd=folders.place,
        name=job.name,
    )


def asked(folders: Folders, job: Job, settings: Settings) -> Asked:
    """The container: of the job's image, or the process that stands in for it."""
    given = job.request["AlgorithmSpecification"]
    entrypoint = tuple(given.get("ContainerEntrypoint", ()))
    return Asked(
        command=command(folders, job, settings),
        image=given.get("TrainingImage", ""),
        words=(*(() if entrypoint else ("train",)), *given.get("ContainerArguments", ())),
        environment=_told(folders, job),
        entrypoint=entrypoint,
        folders={OPT_ML: Folder(folders.ml, writable=True)},
    )


def variables(folders: Folders, job: Job) -> dict[str, str]:
    """The process's whole environment: nothing of the local cloud's own, but for what pip needs."""
    container = {
        "LANG": "C.UTF-8",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        **_told(folders, job),
        # The container's own places, whatever the job asks for.
        "SAGEMAKER_BASE_DIR": str(folders.ml),
        "HOME": str(folders.place / "home"),
        "TMPDIR": str(folders.place / "tmp"),
    }
    return environments.variables(folders.python, container)


def _told(folders: Folders, job: Job) -> dict[str, str]:
    """What SageMaker itself sets, and what the job does."""
    given = job.request.get("Environment", {})
    return {
        "AWS_REGION": job.caller.region,
        "AWS_DEFAULT_REGION": job.caller.region,
        "TRAINING_JOB_NAME": job.name,
        "TRAINING_JOB_ARN": job.arn,
        **{name: folders.rewritten(value) for name, value in given.items()},
    }


def _resources(instance_type: str, interface: str) -> dict[str, Any]:
    group = {"instance_group_name": GROUP, "instance_type": instance_type, "hosts": [HOST]}
    return {
        "current_host": HOST,
        "current_instance_type": instance_type,
        "current_group_name": GROUP,
        "hosts": [HOST],
        "instance_groups": [group],
        "network_interface_name": interface,  # of a process's the one that is surely there
    }


def _channel(given: Mapping[str, Any]) -> dict[str, str]:
    source = given["DataSource"]["S3DataSource"]
    content = {"ContentType": given["ContentType"]} if given.get("ContentType") else {}
    return {
        **content,
        "TrainingInputMode": "File",
        "S3DistributionType": source.get("S3DataDistributionType", "FullyReplicated"),
        "RecordWrapperType": "None",
    }
