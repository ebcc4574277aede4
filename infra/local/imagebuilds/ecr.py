"""ECR, where moto's differs: the registry's address is the local cloud's own, and configurations are served.

It takes no pushes: /v2/ is not served, so nothing that a tool pushes can be taken for an image here.
"""

from __future__ import annotations

import re
from typing import Any

from moto.core.exceptions import ServiceException
from moto.core.responses import ActionResult
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse

from infra.local.cloud import Caller
from infra.local.errors import Answer
from infra.local.imagebuilds.manifests import MANIFEST, Image, digest

BLOBS = "/_local/blobs/"
_blobs: dict[str, bytes] = {}
_usual_token = ECRResponse.get_authorization_token


class LayersNotFound(ServiceException):
    code = "LayersNotFoundException"


def let_moto_answer_for(url: str) -> None:
    """Have moto's ECR say that its registry is at this address, http://127.0.0.1:PORT."""
    usual = _usual_token

    def get_authorization_token(self: Any) -> ActionResult:
        result: Any = usual(self).result
        for one in result["authorizationData"]:
            one["proxyEndpoint"] = url
        return ActionResult(result)

    def get_download_url_for_layer(self: Any) -> ActionResult:
        wanted = self._get_param("layerDigest")
        if wanted not in _blobs:
            raise LayersNotFound(f"no layer {wanted!r} in {self._get_param('repositoryName')!r}")
        return ActionResult({"downloadUrl": f"{url}{BLOBS}{wanted}", "layerDigest": wanted})

    setattr(ECRResponse, "get_authorization_token", get_authorization_token)  # noqa: B010 - mypy
    setattr(ECRResponse, "get_download_url_for_layer", get_download_url_for_layer)  # noqa: B010


def blob(path: str) -> Answer:
    """What lies at a download URL of GetDownloadUrlForLayer."""
    found = _blobs.get(path.removeprefix(BLOBS))
    kind = (("content-type", "application/octet-stream"),)
    return Answer(404, b"", kind) if found is None else Answer(200, found, kind)


def put(caller: Caller, repository: str, tag: str, image: Image) -> str:
    """Put the image under this tag, as a push does; its digest. Raises moto's error if the tag is taken."""
    _blobs[digest(image.configuration)] = image.configuration
    backend = ecr_backends[caller.account][caller.region]
    backend.put_image(repository, image.manifest, tag, MANIFEST, image.digest)
    return image.digest


def is_repository(caller: Caller, name: str) -> bool:
    """Whether the account has this repository."""
    return (
        bool(re.fullmatch(r"[a-z0-9._/-]+", name))
        and name in ecr_backends[caller.account][caller.region].repositories
    )
