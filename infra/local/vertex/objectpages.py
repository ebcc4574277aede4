"""Cloud Storage's lists, of which gcp_storage_emulator answers all at once. Pure.

Source: cloud.google.com/storage/docs/json_api/v1/objects/list
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any

from infra.local.errors import Answer

LIST = re.compile(r"/storage/v1/b/[^/]+/o$")
BUCKETS = "/storage/v1/b"
MOST = 1000


def paged(answer: Answer, query: Mapping[str, str]) -> Answer:
    """The page of a whole list that the query asks for; ValueError for a token or size that is none."""
    listed: dict[str, Any] = json.loads(answer.body)
    after = _name(query.get("pageToken", ""))
    most = min(int(query.get("maxResults") or MOST), MOST)
    names = [item["name"] for item in listed.get("items", [])] + listed.get("prefixes", [])
    rest = sorted({name for name in names if name > after}, key=lambda name: name.encode())
    here = set(rest[:most])
    page = {**listed, "items": [item for item in listed.get("items", []) if item["name"] in here]}
    page["items"].sort(key=lambda item: item["name"].encode())
    page["prefixes"] = [prefix for prefix in listed.get("prefixes", []) if prefix in here]
    page.pop("nextPageToken", None)
    if rest[most:]:
        page["nextPageToken"] = base64.urlsafe_b64encode(rest[most - 1].encode()).decode()
    return Answer(answer.status, json.dumps(page).encode(), answer.headers)


def buckets_of(answer: Answer, project_number: str, prefix: str) -> Answer:
    """Of a list of all buckets those of one project whose names begin with the prefix."""
    listed: dict[str, Any] = json.loads(answer.body)
    found = [
        bucket
        for bucket in listed.get("items", [])
        if str(bucket["projectNumber"]) == project_number and bucket["name"].startswith(prefix)
    ]
    return Answer(answer.status, json.dumps({**listed, "items": found}).encode(), answer.headers)


def _name(token: str) -> str:
    try:
        return base64.urlsafe_b64decode(token.encode()).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise ValueError(f"Invalid argument: pageToken {token!r}") from error
