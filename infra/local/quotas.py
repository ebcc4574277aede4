"""Service Quotas, as far as SageMaker's machines go: every type that botocore knows, enough of each.

Source: botocore's model of Service Quotas; the names, docs.aws.amazon.com/general/latest/gr/sagemaker.html.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from botocore.session import get_session

from infra.local.cloud import Caller
from infra.local.errors import AwsError
from infra.local.records import Question, Reply
from infra.local.settings import Settings

SHAPES = {
    "endpoint usage": "ProductionVariantInstanceType",
    "training job usage": "TrainingInstanceType",
    "spot training job usage": "TrainingInstanceType",
    "transform job usage": "TransformInstanceType",
}
PAGE, MOST = 100, 100
LISTS = {"ListServiceQuotas", "ListAWSDefaultServiceQuotas"}


class Quotas:
    """The service."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def answer(self, caller: Caller, question: Question) -> Reply:
        """The answer to a request. Raises AwsError."""
        target = next((value for name, value in question.headers if name.lower() == "x-amz-target"), "")
        operation, asked = target.rpartition(".")[2], json.loads(question.body.read() or b"{}")
        if operation not in LISTS:
            raise AwsError(400, "UnknownOperationException", f"The local cloud has no {operation}")
        if asked.get("ServiceCode") != "sagemaker":
            raise AwsError(400, "NoSuchResourceException", "The local cloud has quotas of sagemaker alone")
        answer = json.dumps(_page(self._quotas(caller), asked)).encode()
        return Reply(200, [("content-type", "application/x-amz-json-1.1")], [answer])

    def _quotas(self, caller: Caller) -> list[dict[str, Any]]:
        return [
            {
                "ServiceCode": "sagemaker",
                "ServiceName": "Amazon SageMaker",
                "QuotaArn": f"arn:aws:servicequotas:{caller.region}:{caller.account}:sagemaker/{code}",
                "QuotaCode": code,
                "QuotaName": name,
                "Value": float(self._settings.transform_instances if "transform" in name else MOST),
                "Unit": "None",
                "Adjustable": True,
                "GlobalQuota": False,
            }
            for code, name in _names()
        ]


@cache
def _names() -> list[tuple[str, str]]:
    """Each quota's code and name. The codes are made up: no list shows AWS's own."""
    model = get_session().get_service_model("sagemaker")
    shapes: dict[str, Any] = {use: model.shape_for(shape) for use, shape in SHAPES.items()}
    names = [f"{machine} for {use}" for use, shape in shapes.items() for machine in sorted(shape.enum)]
    return [(f"L-{number:08X}", name) for number, name in enumerate(names)]


def _page(found: list[dict[str, Any]], asked: dict[str, Any]) -> dict[str, Any]:
    start, size = int(asked.get("NextToken") or 0), min(PAGE, int(asked.get("MaxResults") or PAGE))
    more = {"NextToken": str(start + size)} if found[start + size :] else {}
    return {"Quotas": found[start : start + size], **more}
