"""A job's input channels: S3's objects as files, each channel in a folder of its own.

Source: API_S3DataSource, and SageMaker's developer guide, your-algorithms-training-algo-running-container.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.cloud import Caller, Cloud
from infra.local.errors import AwsError
from infra.local.objects import CHUNK

MANIFEST_BYTES = 16 * 1024 * 1024


class DownloadFailed(Exception):
    """A channel's data cannot be had; the message is the job's FailureReason."""

    def __init__(self, reason: object) -> None:
        super().__init__(f"ClientError: Data download failed:{reason}")


@dataclass(frozen=True)
class Place:
    """A place in S3: the prefix, or the key, of an s3:// URL."""

    bucket: str
    key: str

    @classmethod
    def of(cls, url: str) -> Place:
        """The place that an s3:// URL names."""
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return cls(bucket, key)


@dataclass(frozen=True)
class Item:
    """An object of a channel, and its path in the channel's folder."""

    bucket: str
    key: str
    path: str


def download(cloud: Cloud, caller: Caller, source: Mapping[str, Any], folder: Path) -> Iterator[Item]:
    """Brings the channel's objects into the folder, one for each step.

    Raises DownloadFailed, which names the object, where one is not there, cannot be read, or would not lie in
    the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        listed = items(cloud, caller, source)
    except AwsError as error:
        raise DownloadFailed(f" {source['S3Uri']}: {error}") from error
    for item in listed:
        _bring(cloud, caller, item, folder)
        yield item


def items(cloud: Cloud, caller: Caller, source: Mapping[str, Any]) -> list[Item]:
    """The objects that S3Uri names, as a prefix or by a manifest. Raises AwsError, DownloadFailed."""
    place = Place.of(source["S3Uri"])
    if source["S3DataType"] == "ManifestFile":
        with cloud.open_object(caller, place.bucket, place.key) as stream:
            return _in_manifest(stream.read(MANIFEST_BYTES), source["S3Uri"])
    keys = cloud.list_keys(caller, place.bucket, place.key)
    # A key that ends in a slash is a console's folder, and has no data.
    return [Item(place.bucket, key, _below(place.key, key)) for key in keys if not key.endswith("/")]


def _below(prefix: str, key: str) -> str:
    """The part of the key below the prefix; of a prefix that is the whole key, its last part."""
    return key[len(prefix) :].lstrip("/") or key.rpartition("/")[2]


def _in_manifest(text: bytes, url: str) -> list[Item]:
    """Source: API_S3DataSource: [{"prefix": "s3://bucket/prefix/"}, "relative/path", …]."""
    try:
        first, *names = json.loads(text)
        prefix = Place.of(first["prefix"])
        return [Item(prefix.bucket, prefix.key + name, name) for name in names]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        expected = 'expected [{"prefix": "s3://bucket/prefix/"}, "name", …]'
        raise DownloadFailed(f" {url} is no manifest, {expected}") from error


def _bring(cloud: Cloud, caller: Caller, item: Item, folder: Path) -> None:
    name = f"s3://{item.bucket}/{item.key}"
    parts = [part for part in item.path.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "\0" in item.path:
        raise DownloadFailed(f" {name!r} would not lie in the channel's folder")
    path = folder.joinpath(*parts)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with cloud.open_object(caller, item.bucket, item.key) as source, path.open("wb") as target:
            shutil.copyfileobj(source, target, CHUNK)
    except AwsError as error:
        raise DownloadFailed(f" {name}: {error}") from error
    except OSError as error:  # a name too long, a file where a folder must be, a full disk
        raise DownloadFailed(f" {name}: {error.strerror}") from error
