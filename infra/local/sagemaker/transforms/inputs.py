"""Which objects a job reads, and where the answer to each goes.

Source: API_TransformS3DataSource, API_TransformOutput.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.sagemaker.checks import refusal

MANIFEST_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class Source:
    """One input object; `output` is the key of its answer, in the output's bucket."""

    bucket: str
    key: str
    output: str

    @property
    def place(self) -> str:
        """As the data log names it."""
        return f"{self.bucket}/{self.key}"


def found(cloud: Cloud, caller: Caller, request: dict[str, Any]) -> tuple[Source, ...]:
    """The objects in the order of their keys, or of the manifest; `caller` assumes the execution role.

    Raises AwsError if there is none, or none that the role may list.
    """
    place = request["TransformInput"]["DataSource"]["S3DataSource"]
    url, output = place["S3Uri"], split(request["TransformOutput"]["S3OutputPath"])[1]
    if place["S3DataType"] == "ManifestFile":
        return _listed(_manifest(cloud, caller, url), output)
    bucket, prefix = split(url)
    # What the console makes for a folder is no data.
    keys = [key for key in _keys(cloud, caller, url) if not key.endswith("/")]
    if not keys:
        raise nothing_found(url, caller)
    return tuple(Source(bucket, key, output_key(output, relative(key, prefix))) for key in keys)


def split(url: str) -> tuple[str, str]:
    """The bucket and the key, or prefix, of an s3:// URL."""
    bucket, _, key = url.removeprefix("s3://").partition("/")
    return bucket, key


def relative(key: str, prefix: str) -> str:
    """The part of the key that its output keeps: what follows the prefix's last slash.

    So a key that is the whole prefix keeps its name, and keys that begin alike keep what tells them apart.
    """
    return key[prefix.rfind("/") + 1 :]


def output_key(output: str, name: str) -> str:
    """Where the answer to that object goes."""
    folder = output.rstrip("/")
    return f"{folder}/{name}.out" if folder else f"{name}.out"


def share(sources: Sequence[Source], number: int, instances: int) -> tuple[Source, ...]:
    """The objects of one instance of several, dealt out in turn."""
    return tuple(sources[number::instances])


def nothing_found(url: str, caller: Caller) -> AwsError:
    """Source: amazon-sagemaker-examples issue 2270."""
    return refusal(
        f'No S3 objects found under S3 URL "{url}" given in input data source. Please ensure that the bucket '
        f"exists in the selected region ({caller.region}), that objects exist under that S3 prefix, and that "
        f'the role "{caller.role}" has "s3:ListBucket" permissions on bucket "{split(url)[0]}".'
    )


def _keys(cloud: Cloud, caller: Caller, url: str) -> list[str]:
    try:
        return cloud.list_keys(caller, *split(url))
    except AwsError:
        raise nothing_found(url, caller) from None


def _manifest(cloud: Cloud, caller: Caller, url: str) -> list[Any]:
    try:
        with cloud.open_object(caller, *split(url)) as stream:
            text = stream.read(MANIFEST_BYTES)
    except AwsError:
        raise nothing_found(url, caller) from None
    try:
        manifest = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal(f'The manifest "{url}" is no JSON: {error}.') from None
    if not _is_manifest(manifest):
        raise refusal(
            f'The manifest "{url}" is not of the form [{{"prefix": "s3://BUCKET/PREFIX"}}, "NAME", …] with '
            "at least one name."
        )
    entries: list[Any] = manifest
    return entries


def _is_manifest(manifest: Any) -> bool:
    if not isinstance(manifest, list) or len(manifest) < 2 or not isinstance(manifest[0], dict):
        return False
    prefix = manifest[0].get("prefix")
    is_url = isinstance(prefix, str) and prefix.startswith("s3://") and bool(split(prefix)[0])
    return is_url and all(isinstance(name, str) and name for name in manifest[1:])


def _listed(manifest: list[Any], output: str) -> tuple[Source, ...]:
    bucket, prefix = split(manifest[0]["prefix"])
    names = dict.fromkeys(manifest[1:])  # one that is there twice has one output
    return tuple(Source(bucket, prefix + name, output_key(output, name)) for name in names)
