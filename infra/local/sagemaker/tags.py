"""Tags. moto keeps them; it takes a key twice, and knows no resource that is not there."""

from __future__ import annotations

from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.sagemaker import models

Json = dict[str, Any]


class Tags:
    """The operations on the tags of models, endpoint configurations and endpoints."""

    def __init__(self, cloud: Cloud) -> None:
        _let_moto_tell_arns()
        self._cloud = cloud

    def add_tags(self, caller: Caller, request: Json) -> Json:
        """AddTags: a key that is there gets the new value."""
        self._must_be_there(caller, request["ResourceArn"])
        keys = [tag["Key"] for tag in request["Tags"]]
        self._cloud.moto(caller, "DeleteTags", {"ResourceArn": request["ResourceArn"], "TagKeys": keys})
        return self._cloud.moto(caller, "AddTags", request)

    def list_tags(self, caller: Caller, request: Json) -> Json:
        """ListTags."""
        self._must_be_there(caller, request["ResourceArn"])
        return self._cloud.moto(caller, "ListTags", request)

    def delete_tags(self, caller: Caller, request: Json) -> Json:
        """DeleteTags."""
        self._must_be_there(caller, request["ResourceArn"])
        return self._cloud.moto(caller, "DeleteTags", request)

    def _must_be_there(self, caller: Caller, resource: str) -> None:
        kind, _, name = resource.split(":")[-1].partition("/")
        if kind in models.DESCRIBED:
            models.found(self._cloud, caller, kind, name)


def _let_moto_tell_arns() -> None:
    """moto's endpoint configurations have a tuple for an ARN, which the index of tags would show as text."""
    from moto.sagemaker.models import FakeEndpointConfig

    setattr(FakeEndpointConfig, "arn", property(_arn, lambda _self, _arn: None))  # noqa: B010 - mypy


def _arn(config: Any) -> str:
    return str(config.endpoint_config_arn)
