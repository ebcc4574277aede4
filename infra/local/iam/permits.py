"""What a service demands of a role for what it does in the role's name. Pure.

Source: SageMaker's developer guide, sagemaker-roles, the execution role permissions of CreateModel,
CreateTrainingJob and CreateTransformJob.
"""

from __future__ import annotations

import re

from infra.local.iam.policies import Demand

_IMAGE = re.compile(
    r"(?P<account>\d{12})\.dkr\.ecr(?:-fips)?\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(?P<china>\.cn)?/"
    r"(?P<repository>[^:@]+)"
)
_PULLED = ("BatchCheckLayerAvailability", "BatchGetImage", "GetDownloadUrlForLayer")
_UPLOADED = ("InitiateLayerUpload", "UploadLayerPart", "CompleteLayerUpload")
_PUSHED = ("BatchCheckLayerAvailability", *_UPLOADED, "PutImage", "BatchGetImage")


def reading(bucket: str, key: str) -> Demand:
    """To read an object."""
    return Demand("s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")


def listing(bucket: str, prefix: str) -> Demand:
    """To list what begins so."""
    return Demand("s3:ListBucket", f"arn:aws:s3:::{bucket}", {"s3:prefix": (prefix,)})


def writing(bucket: str, key: str) -> Demand:
    """To write an object."""
    return Demand("s3:PutObject", f"arn:aws:s3:::{bucket}/{key}")


def removing(bucket: str, key: str) -> Demand:
    """To remove an object."""
    return Demand("s3:DeleteObject", f"arn:aws:s3:::{bucket}/{key}")


def watching(alarm: str) -> Demand:
    """To see the state of an alarm, given by its ARN. Source: deployment-guardrails-configuration."""
    return Demand("cloudwatch:DescribeAlarms", alarm)


def notifying(topic: str) -> Demand:
    """To publish to a topic of SNS. Source: async-inference-create-endpoint-prerequisites."""
    return Demand("sns:Publish", topic)


def pulling(image: str) -> tuple[Demand, ...]:
    """To pull an image from ECR; of one that does not lie there nothing is demanded."""
    return _of_image(image, _PULLED)


def pushing(image: str) -> tuple[Demand, ...]:
    """To push an image to ECR. Source: ECR's user guide, image-push-iam."""
    return _of_image(image, _PUSHED)


def _of_image(image: str, actions: tuple[str, ...]) -> tuple[Demand, ...]:
    place = _IMAGE.match(image)
    if place is None:
        return ()
    partition = "aws-cn" if place["china"] else "aws"
    arn = f"arn:{partition}:ecr:{place['region']}:{place['account']}:repository/{place['repository']}"
    return Demand("ecr:GetAuthorizationToken", "*"), *(Demand(f"ecr:{one}", arn) for one in actions)
