"""What AWS's errors mean to the person who runs a verb, in AWS's own words and with what to do about it."""

import re
from collections.abc import Mapping
from typing import Any

RENEW = "renew them, for example with `aws sso login`, then give the same command again"
LOG_IN = (
    "no AWS credentials were found: log in with `aws configure sso` or `aws login`, "
    "or export AWS_PROFILE or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
CREDENTIALS = {
    "ExpiredToken",
    "ExpiredTokenException",
    "RequestExpired",
    "InvalidToken",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "AuthFailure",
}
THROTTLING = {
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestLimitExceeded",
    "TooManyRequestsException",
    "SlowDown",
}
DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
# botocore's own errors, by class name, where it has no credentials to send.
WITHOUT_CREDENTIALS = {"NoCredentialsError", "NoAuthTokenError"}
STALE_CREDENTIALS = {
    "PartialCredentialsError",
    "CredentialRetrievalError",
    "TokenRetrievalError",
    "SSOTokenLoadError",
    "UnauthorizedSSOTokenError",
    "SSOError",
}
# SageMaker answers an unknown instance type with all of them, hundreds of words.
LONG_LIST = re.compile(r"(enum value set: \[(?:[^],]+, ){8})[^]]+\]")
UNREACHED = {
    "EndpointConnectionError",
    "ConnectTimeoutError",
    "ReadTimeoutError",
    "ConnectionClosedError",
    "ConnectionError",
    "ProxyConnectionError",
    "HTTPClientError",
    "SSLError",
}


def refusal(response: Mapping[str, Any]) -> str:
    """A sentence for an error that AWS sent; empty if it holds no error."""
    if "Error" not in response:
        return ""
    if response["Error"].get("Code") == "ModelError":
        return _model_error(response)
    tries = response.get("ResponseMetadata", {}).get("RetryAttempts", 0) + 1
    return _refusal(response["Error"].get("Code", ""), response["Error"].get("Message", ""), tries)


def _refusal(code: str, message: str, tries: int) -> str:
    message = LONG_LIST.sub(r"\1…]", message)
    if code in CREDENTIALS:
        return f"the AWS credentials were not accepted ({code}: {message}): {RENEW}"
    if code in THROTTLING:
        return (
            f"AWS is asked too often ({code}, tried {tries} times): give the same command again in a minute"
        )
    if code in DENIED:
        return f"{message} ({code}): whoever runs this needs that permission"
    if code == "ResourceLimitExceeded":
        return f"{message} ({code}): ask for more in Service Quotas, or choose another instance_type"
    return f"{message} ({code}{f', tried {tries} times' if tries > 1 else ''})"


def _model_error(response: Mapping[str, Any]) -> str:
    status = response.get("OriginalStatusCode", "an error")
    return (
        f"the container answered {status}: {response.get('OriginalMessage') or response['Error']['Message']}"
    )


def failure(kind: str, text: str) -> str:
    """A sentence for an error that botocore met on this machine or on the way; `kind` is its class."""
    if kind in WITHOUT_CREDENTIALS:
        return LOG_IN
    if kind in STALE_CREDENTIALS:
        return f"the AWS credentials cannot be used ({text}): {RENEW}"
    if kind == "ProfileNotFound":
        return f"{text}: `aws configure list-profiles` shows those there are; AWS_PROFILE names one"
    if kind in UNREACHED:
        return (
            f"{text.rstrip('.')}: look at the network and at [aws] region, then give the same command again"
        )
    return text


def bucket(code: str, bucket_account: str) -> str:
    """Why the bucket cannot be used; empty for an error that is not the bucket's."""
    # HeadBucket's errors have no body, so the status is all there is.
    if code in {"404", "NoSuchBucket"}:
        return f"is not there: create it in account {bucket_account}, or name another"
    if code in {"403", "AccessDenied"}:
        return (
            f"belongs to another account than {bucket_account} (the role's), or these credentials may not "
            "list it: name a bucket of that account, or ask for s3:ListBucket on it"
        )
    if code in {"400", "401"}:
        return f"could not be looked at, since AWS did not accept the credentials: {RENEW}"
    return ""
