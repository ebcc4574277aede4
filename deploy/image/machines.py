"""Which processor a type of machine has, and whether there is a GPU beside it, by its name. Pure."""

from __future__ import annotations

import re

# Source: docs.aws.amazon.com/ec2/latest/instancetypes, "Instance type naming conventions": a "g" behind the
# generation is Graviton, "-gb" behind the family NVIDIA's Grace.
_AWS_ARM = re.compile(r"ml\.([a-z]+\d+g[a-z0-9-]*|[a-z0-9]+-gb\d+)\.")
_AWS_GPU = re.compile(r"ml\.[gp]\d")
# Source: cloud.google.com/compute/docs/instances/arm-on-compute
_GCP_ARM = re.compile(r"(t2a|c4a|n4a|a4x)-")
_GCP_GPU = re.compile(r"[ag]\d+x?-")


def processor(machine: str) -> str:
    """ "amd64" or "arm64", as images say it, for a SageMaker instance type or a machine type of Google's."""
    return "arm64" if _AWS_ARM.match(machine) or _GCP_ARM.match(machine) else "amd64"


def has_gpu(machine: str) -> bool:
    """Whether the type itself has GPUs; N1 machines get theirs by an accelerator beside them."""
    return bool(_AWS_GPU.match(machine) or _GCP_GPU.match(machine))
