"""A refusal of IAM's in the form of each protocol, under the code that it has there. Pure.

Source: botocore's parsers for the forms; the codes and statuses are those of public issue threads.
"""

from __future__ import annotations

from infra.local import errors
from infra.local.errors import Answer, AwsError
from infra.local.iam import calls
from infra.local.iam.calls import Asked

# By protocol: the status and the code of AccessDenied, ExpiredToken and InvalidClientTokenId.
_FORMS = {
    "json": {
        "AccessDenied": (400, "AccessDeniedException"),
        "ExpiredToken": (400, "ExpiredTokenException"),
        "InvalidClientTokenId": (400, "UnrecognizedClientException"),
    },
    "rest-json": {
        "AccessDenied": (403, "AccessDeniedException"),
        "ExpiredToken": (403, "ExpiredTokenException"),
        "InvalidClientTokenId": (403, "UnrecognizedClientException"),
    },
    "query": {},
    "s3": {"ExpiredToken": (400, "ExpiredToken"), "InvalidClientTokenId": (403, "InvalidAccessKeyId")},
}


def answer(asked: Asked, error: AwsError) -> Answer:
    """What the service answers to this request instead of a result."""
    protocol = _protocol(asked)
    status, code = _FORMS[protocol].get(error.code, (error.status, error.code))
    told = AwsError(status, code, error.message, error.fields)
    if protocol == "s3":
        return errors.as_rest_xml(told)
    if protocol == "query":
        return errors.as_query_xml(told)
    return errors.as_rest_json(told) if protocol == "rest-json" else errors.as_json(told)


def _protocol(asked: Asked) -> str:
    if asked.service == "s3":
        return "s3"
    if calls.is_query(asked):
        return "query"
    return "json" if asked.headers.get("x-amz-target") else "rest-json"
