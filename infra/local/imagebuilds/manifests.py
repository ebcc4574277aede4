"""What a registry holds of an image: its manifest and its configuration. No layers: nothing is in them.

Source: github.com/distribution/distribution, docs, "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from infra.local.imagebuilds.contexts import Command

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
CONFIGURATION = "application/vnd.docker.container.image.v1+json"


@dataclass(frozen=True)
class Image:
    """An image without layers: its manifest, and the configuration that the manifest names."""

    manifest: str
    configuration: bytes

    @property
    def digest(self) -> str:
        return digest(self.manifest.encode())


def image(files: Mapping[str, bytes], command: Command) -> Image:
    """The image of this context and command: the same digest for the same."""
    system, _, processor = command.platform.partition("/")
    content = hashlib.sha256()
    for name in sorted(files):
        content.update(json.dumps([name, hashlib.sha256(files[name]).hexdigest()]).encode())
    labels = {"slipway.context": content.hexdigest(), **dict(sorted(command.arguments.items()))}
    described = {"architecture": processor, "os": system, "config": {"Labels": labels}, "rootfs": _NO_LAYERS}
    configuration = json.dumps(described, sort_keys=True).encode()
    named = {"mediaType": CONFIGURATION, "size": len(configuration), "digest": digest(configuration)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": named, "layers": list[str]()}
    return Image(json.dumps(manifest, indent=3), configuration)


_NO_LAYERS = {"type": "layers", "diff_ids": list[str]()}


def digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
