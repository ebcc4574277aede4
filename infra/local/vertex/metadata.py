"""The metadata server of Google's machines, so that default credentials are found here without a file.

Pure. Its tokens are for the local cloud, which does not look at them. Source:
cloud.google.com/compute/docs/metadata/predefined-metadata-keys
"""

from __future__ import annotations

import json
import re

from infra.local.errors import Answer
from infra.local.vertex.names import number_of

# No address: of a service account's Google's library would ask the real cloud where it may be used.
EMAIL = "local"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"
TOKEN_S = 3600
PATHS = re.compile(r"/(computeMetadata/.*)?$")
_ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"
_PROJECT = "/computeMetadata/v1/project/"
_FLAVOR = ("metadata-flavor", "Google")
_TOKEN = {"access_token": "local", "expires_in": TOKEN_S, "token_type": "Bearer"}
_JSON = {
    f"{_ACCOUNT}/": {"aliases": ["default"], "email": EMAIL, "scopes": [SCOPE]},
    f"{_ACCOUNT}/token": _TOKEN,
    "/computeMetadata/v1/instance/service-accounts/": {"default": {"email": EMAIL}},
}
_TEXT = {
    "/": "computeMetadata/\n",
    "/computeMetadata/v1/": "instance/\nproject/\n",
    "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
    f"{_ACCOUNT}/email": EMAIL,
    f"{_ACCOUNT}/scopes": SCOPE,
}


def answer(path: str, project: str) -> Answer:
    """What the metadata server of a machine in that project answers."""
    if path.startswith(_PROJECT):
        about = {"project-id": project, "numeric-project-id": number_of(project)}
        return _text(about.get(path.removeprefix(_PROJECT), ""))
    if path in _JSON:
        return Answer(200, json.dumps(_JSON[path]).encode(), (("content-type", "application/json"), _FLAVOR))
    return _text(_TEXT.get(path, ""))


def _text(text: str) -> Answer:
    headers = (("content-type", "application/text"), _FLAVOR)
    return Answer(200, text.encode(), headers) if text else Answer(404, b"not found", headers)
