"""What an S3 request needs: its operation lies in method, path, query and headers. Pure.

Source: Service Authorization Reference, list_amazons3; S3's user guide, using-with-s3-policy-actions and
mpuAndPermissions. A subresource that is not here has an action of its own that only `s3:*` allows.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator, Mapping
from html import unescape

from infra.local.iam.calls import Asked
from infra.local.iam.patterns import Context
from infra.local.iam.policies import Demand

_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
# By method, then by the subresource in the query, "" for none.
_OBJECT: Mapping[str, Mapping[str, str]] = {
    "GET": {
        **{"": "GetObject", "uploadId": "ListMultipartUploadParts", "versionId": "GetObjectVersion"},
        **{"acl": "GetObjectAcl", "tagging": "GetObjectTagging", "attributes": "GetObjectAttributes"},
    },
    "HEAD": {"": "GetObject", "versionId": "GetObjectVersion"},
    "PUT": {
        **{"": "PutObject", "uploadId": "PutObject", "acl": "PutObjectAcl", "tagging": "PutObjectTagging"},
    },
    "POST": {"uploads": "PutObject", "uploadId": "PutObject", "restore": "RestoreObject"},
    "DELETE": {
        **{"": "DeleteObject", "uploadId": "AbortMultipartUpload", "versionId": "DeleteObjectVersion"},
        **{"tagging": "DeleteObjectTagging"},
    },
}
_BUCKET: Mapping[str, Mapping[str, str]] = {
    "GET": {
        **{"": "ListBucket", "versions": "ListBucketVersions", "uploads": "ListBucketMultipartUploads"},
        **{"location": "GetBucketLocation", "policy": "GetBucketPolicy", "acl": "GetBucketAcl"},
        **{"encryption": "GetEncryptionConfiguration", "versioning": "GetBucketVersioning"},
        **{"lifecycle": "GetLifecycleConfiguration", "tagging": "GetBucketTagging"},
        **{"publicAccessBlock": "GetBucketPublicAccessBlock", "policyStatus": "GetBucketPolicyStatus"},
        **{"ownershipControls": "GetBucketOwnershipControls", "cors": "GetBucketCORS"},
        **{"logging": "GetBucketLogging", "notification": "GetBucketNotification"},
    },
    "HEAD": {"": "ListBucket"},
    "PUT": {
        **{"": "CreateBucket", "policy": "PutBucketPolicy", "acl": "PutBucketAcl"},
        **{"encryption": "PutEncryptionConfiguration", "versioning": "PutBucketVersioning"},
        **{"lifecycle": "PutLifecycleConfiguration", "tagging": "PutBucketTagging"},
        **{"publicAccessBlock": "PutBucketPublicAccessBlock", "cors": "PutBucketCORS"},
        **{"ownershipControls": "PutBucketOwnershipControls", "logging": "PutBucketLogging"},
        **{"notification": "PutBucketNotification"},
    },
    "POST": {"delete": "DeleteObject"},
    "DELETE": {
        **{"": "DeleteBucket", "policy": "DeleteBucketPolicy", "tagging": "PutBucketTagging"},
        **{"encryption": "PutEncryptionConfiguration", "lifecycle": "PutLifecycleConfiguration"},
        **{"publicAccessBlock": "PutBucketPublicAccessBlock", "cors": "PutBucketCORS"},
        **{"ownershipControls": "PutBucketOwnershipControls"},
    },
}
# What else a query has: it asks for no other action.
_PLAIN = re.compile(
    r"x-id|list-type|prefix|delimiter|max-keys|marker|start-after|continuation-token|encoding-type|fetch-owner"
    r"|key-marker|upload-id-marker|version-id-marker|max-uploads|max-parts|part-number-marker|partNumber"
    r"|response-.*|AWSAccessKeyId|Signature|Expires|X-Amz-.*|x-amz-.*|bucket-region|max-buckets"
)
_QUERY_KEYS = {"prefix": "s3:prefix", "delimiter": "s3:delimiter", "max-keys": "s3:max-keys"}
_HEADER_KEYS = (
    *("x-amz-acl", "x-amz-copy-source", "x-amz-server-side-encryption", "x-amz-storage-class"),
    *("x-amz-server-side-encryption-aws-kms-key-id", "if-none-match", "if-match"),
)


def of_request(asked: Asked, partition: str = "aws") -> tuple[Demand, ...]:
    """All that the request needs; the body is read for the keys of DeleteObjects alone."""
    bucket, key = bucket_and_key(asked.path)
    query = dict(urllib.parse.parse_qsl(asked.query, keep_blank_values=True))
    about = _context(asked, query)
    if not bucket:
        return (Demand("s3:ListAllMyBuckets", "*", about),)
    action = _action(asked.method, key, query)
    arn = f"arn:{partition}:s3:::{bucket}"
    if action == "DeleteObject" and not key:
        keys = dict.fromkeys(unescape(one.decode("utf-8", "replace")) for one in _KEY.findall(asked.body))
        return tuple(Demand("s3:DeleteObject", f"{arn}/{one}", about) for one in keys)
    own = Demand(f"s3:{action}", f"{arn}/{key}" if key else arn, about)
    return (own, *_beside(asked, own, partition))


def reads_body(asked: Asked) -> bool:
    """Whether what it needs is told by its body."""
    return asked.method == "POST" and "delete" in urllib.parse.parse_qs(asked.query, keep_blank_values=True)


def bucket_and_key(path: str) -> tuple[str, str]:
    """What a path-style path names, "" for none."""
    bucket, _, key = urllib.parse.unquote(path).removeprefix("/").partition("/")
    return bucket, key


def _action(method: str, key: str, query: Mapping[str, str]) -> str:
    chosen = [name for name in query if not _PLAIN.fullmatch(name)]
    subresource = next((name for name in ("uploadId", "versionId") if name in chosen), "")
    subresource = next((name for name in chosen if name not in ("uploadId", "versionId")), subresource)
    known = (_OBJECT if key else _BUCKET).get(method, {})
    return known.get(subresource, f"{method.title()}{subresource.title() or 'Unknown'}")


def _beside(asked: Asked, own: Demand, partition: str) -> Iterator[Demand]:
    """A copy reads its source; tags and an ACL that come with an object are actions of their own."""
    if own.action != "s3:PutObject":
        return
    if source := asked.headers.get("x-amz-copy-source"):
        place = urllib.parse.unquote(source).lstrip("/").partition("?")[0]
        yield Demand("s3:GetObject", f"arn:{partition}:s3:::{place}", own.context)
    if asked.headers.get("x-amz-tagging"):
        yield Demand("s3:PutObjectTagging", own.resource, own.context)
    if asked.headers.get("x-amz-acl"):
        yield Demand("s3:PutObjectAcl", own.resource, own.context)


def _context(asked: Asked, query: Mapping[str, str]) -> Context:
    found: dict[str, tuple[str, ...]]
    found = {key: (query[name],) for name, key in _QUERY_KEYS.items() if name in query}
    found |= {f"s3:{name}": (asked.headers[name],) for name in _HEADER_KEYS if name in asked.headers}
    tags = dict(urllib.parse.parse_qsl(asked.headers.get("x-amz-tagging", ""), keep_blank_values=True))
    if tags:
        found |= {f"s3:requestobjecttag/{name.lower()}": (value,) for name, value in tags.items()}
        found["s3:requestobjecttagkeys"] = tuple(tags)
    return found
