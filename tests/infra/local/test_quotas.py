"""Service Quotas through boto3: each of SageMaker's machines, page by page."""

from typing import Any

import pytest
from botocore.exceptions import ClientError


def listed(client: Any, operation: str, **given: Any) -> list[dict[str, Any]]:
    pages = client.get_paginator(operation).paginate(ServiceCode="sagemaker", **given)
    return [one for page in pages for one in page["Quotas"]]


@pytest.mark.parametrize("operation", ["list_service_quotas", "list_aws_default_service_quotas"])
def test_every_type_has_a_quota_in_each_use(local_cloud: Any, operation: str) -> None:
    found = listed(local_cloud.client("service-quotas"), operation)
    names = [one["QuotaName"] for one in found]
    assert len(names) == len(set(names)) == len({one["QuotaCode"] for one in found}) > 500
    values = {one["QuotaName"]: one["Value"] for one in found}
    assert values["ml.m7i.large for endpoint usage"] == 100
    assert values["ml.m7i.large for transform job usage"] == 20
    assert {
        "ml.m7i.large for training job usage",
        "ml.m7i.large for spot training job usage",
    } <= values.keys()


def test_pages_are_as_long_as_they_are_asked_for(local_cloud: Any) -> None:
    client = local_cloud.client("service-quotas")
    first = client.list_service_quotas(ServiceCode="sagemaker", MaxResults=7)
    assert len(first["Quotas"]) == 7
    second = client.list_service_quotas(ServiceCode="sagemaker", MaxResults=7, NextToken=first["NextToken"])
    assert first["Quotas"] + second["Quotas"] == listed(client, "list_service_quotas")[:14]


def test_what_it_does_not_have_is_refused(local_cloud: Any) -> None:
    client = local_cloud.client("service-quotas")
    with pytest.raises(client.exceptions.NoSuchResourceException):
        client.list_service_quotas(ServiceCode="ec2")
    with pytest.raises(ClientError, match="The local cloud has no GetServiceQuota"):
        client.get_service_quota(ServiceCode="sagemaker", QuotaCode="L-1")
