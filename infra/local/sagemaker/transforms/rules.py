"""The rules of CreateTransformJob that SageMaker's service model does not hold. Pure.

Sources: API_CreateTransformJob; batch-transform-data-processing. The sentences marked [A] are those of public
issue threads and code; the others are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from infra.local.errors import AwsError
from infra.local.sagemaker.checks import refusal
from infra.local.sagemaker.transforms import filters, joining
from infra.local.sagemaker.transforms.filters import FilterError
from infra.local.sagemaker.transforms.joining import CSV, JSON, LINES, Processing
from infra.local.sagemaker.transforms.parameters import MOST_MB

Json = Mapping[str, Any]


def check(request: Json, instances: int) -> None:
    """Raises SageMaker's refusal of what breaks a rule; `instances` is the account's quota for a job."""
    _limits(request)
    _source(request)
    _strategy(request)
    _headers(request)
    processing(request)
    _quota(request, instances)


def processing(request: Json) -> Processing:
    """The request's DataProcessing. Raises SageMaker's refusal of what it does not allow."""
    given = request.get("DataProcessing", {})
    content = media_type(request["TransformInput"].get("ContentType"))
    found = Processing(
        kind=_kind(content, request["TransformInput"].get("SplitType", "None")),
        input_filter=_path("inputFilter", given.get("InputFilter", "$")),
        output_filter=_path("outputFilter", given.get("OutputFilter", "$")),
        join=given.get("JoinSource") == "Input",
    )
    if found.is_needed:
        _data_processing(request, found, content)
    return found


def media_type(text: str | None) -> str:
    """The media type without its parameters."""
    return (text or "").partition(";")[0].strip().lower()


def already_there(arn: str) -> AwsError:
    """A name is taken for ever [A]."""
    return AwsError(
        400,
        "ResourceInUse",
        "Job name must be unique within an AWS account and region, and a job with this name already exists "
        f"({arn})",
    )


def missing(name: str) -> AwsError:
    """DescribeTransformJob of an unknown name [A]."""
    return refusal(f"Could not find requested job with name: {name}")


def nothing_to_stop(name: str) -> AwsError:
    """StopTransformJob of an unknown name [A]."""
    return refusal(f"Could not find job to update with name: {name}")


def not_running(status: str) -> AwsError:
    """StopTransformJob of a job that has ended [A]."""
    return refusal(f"The request was rejected because the transform job is in status {status}")


def _limits(request: Json) -> None:
    concurrent, payload = request.get("MaxConcurrentTransforms", 0), request.get("MaxPayloadInMB", 0)
    if payload > MOST_MB:
        raise refusal(f"MaxPayloadInMB is {payload}, at most {MOST_MB} is allowed.")
    if concurrent * payload > MOST_MB:
        raise refusal(
            f"MaxConcurrentTransforms ({concurrent}) * MaxPayloadInMB ({payload}) is {concurrent * payload}, "
            f"at most {MOST_MB} is allowed."
        )


def _source(request: Json) -> None:
    source = request["TransformInput"]["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile"):
        raise refusal(
            f"S3DataType {source['S3DataType']} is not for transform jobs: S3Prefix or ManifestFile."
        )
    for url in (source["S3Uri"], request["TransformOutput"]["S3OutputPath"]):
        if not url.startswith("s3://"):
            raise refusal(f'"{url}" is no s3:// URL: https:// ones are not read locally.')


def _strategy(request: Json) -> None:
    if request.get("BatchStrategy") and request["TransformInput"].get("SplitType", "None") == "None":
        raise refusal("BatchStrategy requires SplitType: one of Line, RecordIO, TFRecord.")


def _headers(request: Json) -> None:
    given = {
        "contentType": request["TransformInput"].get("ContentType", ""),
        "accept": request["TransformOutput"].get("Accept", ""),
    }
    for member, text in given.items():
        if not (text.isascii() and text.isprintable()):
            raise refusal(f"{member} {text!r} is no HTTP header: only printable ASCII is.")


def _quota(request: Json, most: int) -> None:
    count, kind = (request["TransformResources"][name] for name in ("InstanceCount", "InstanceType"))
    if count > most:
        raise AwsError(
            400,
            "ResourceLimitExceeded",
            f"The account-level service limit '{kind} for transform job usage' is {most} Instances, with "
            f"current utilization of 0 Instances and a request delta of {count} Instances. Please use AWS "
            "Service Quotas to request an increase for this quota.",
        )


def _kind(content: str, split: str) -> str:
    return joining.LINES if content == JSON and split == "Line" else content


def _path(member: str, text: str) -> filters.Path:
    try:
        return filters.parse(text)
    except FilterError as error:
        raise refusal(f"Invalid JSONPath at 'dataProcessing.{member}': {error}.") from None


def _data_processing(request: Json, found: Processing, content: str) -> None:
    accept = media_type(request["TransformOutput"].get("Accept"))
    if content not in (JSON, LINES, CSV):
        raise refusal(f"DataProcessing is for {JSON}, {LINES} and {CSV}, and ContentType is '{content}'.")
    if found.join and accept != content:
        raise refusal(f"With JoinSource Input, Accept must be ContentType: '{accept}' is not '{content}'.")
    ways = request["TransformInput"].get("SplitType"), request["TransformOutput"].get("AssembleWith")
    if content == CSV and ways != ("Line", "Line"):
        raise refusal(f"DataProcessing of {CSV} needs SplitType Line and AssembleWith Line, not {ways}.")
    for path in (found.input_filter, found.output_filter):
        if content == CSV and not filters.suits_rows(path):
            raise refusal(f"A filter of {CSV} is one index, range or list of them, since a row is an array.")
