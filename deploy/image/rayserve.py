"""SageMaker without any build: AWS's image of Ray Serve, and in the archive the runtime as a Ray application.

It starts slower than an image of its own: Ray starts first, and pip installs at each start. AWS's adapter
asks Ray whether it is well, and not the model, so /ping may be right before the model is; answers come whole.
Source: aws.github.io/deep-learning-containers/ray/deployment/sagemaker
"""

from __future__ import annotations

import shutil
from pathlib import Path

from deploy.config import Config
from deploy.image import context as contexts
from deploy.image import machines
from deploy.image.context import KIT, ContextError

APPLICATION = KIT / "infra/image/ray_serve"
RUNTIME = "inference/serving/"
AT_ONCE = 100  # requests that Ray hands a replica at once: its own default is 5, and the runtime has a queue
# The host's own drivers are too old for the image's CUDA. Source: the page above, "Notes".
GPU_HOST = "al2-ami-sagemaker-inference-gpu-3-1"


def resolved(config: Config) -> Config:
    """The configuration with AWS's image where it names none. ContextError where none is known."""
    aws = config.aws
    if aws.image:
        return config
    if not aws.region.startswith(("af-", "ap-", "ca-", "eu-", "il-", "me-", "sa-", "us-east-", "us-west-")):
        raise ContextError(
            'deploy.toml: [image]: kind = "ray-serve"',
            f"has no known image in {aws.region}",
            "set [aws] image",
        )
    device = "cuda" if machines.has_gpu(aws.instance_type) else "cpu"
    image = f"763104351884.dkr.ecr.{aws.region}.amazonaws.com/ray:serve-ml-sagemaker-{device}-v1"
    return config.model_copy(update={"aws": aws.model_copy(update={"image": image})})


def host(config: Config) -> dict[str, str]:
    """What a production variant says of its host besides the instance type."""
    on_gpu = config.image.kind == "ray-serve" and machines.has_gpu(config.aws.instance_type)
    return {"InferenceAmiVersion": GPU_HOST} if on_gpu else {}


def write(config: Config, project: Path, folder: Path) -> Path | None:
    """Write what goes to the archive's root into the folder, anew, and return it; None for another kind."""
    if config.image.kind != "ray-serve":
        return None
    shutil.rmtree(folder, ignore_errors=True)
    for file in contexts.read(project).files:
        if file.name.startswith(RUNTIME):
            _put(folder / file.name, file.content)
    for source in sorted(APPLICATION.glob("*.py")):
        _put(folder / source.name, source.read_bytes())
    _put(folder / "config.yaml", _config(machines.has_gpu(config.aws.instance_type)).encode())
    return folder


def _put(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _config(gpu: bool) -> str:
    """Source: docs.ray.io/en/latest/serve/production-guide/config.html"""
    return f"""\
applications:
  - name: slipway
    route_prefix: /
    import_path: slipway_ray:app
    deployments:
      - name: Runtime
        num_replicas: 1
        max_ongoing_requests: {AT_ONCE}
        ray_actor_options:
          num_gpus: {int(gpu)}
"""
