"""Lists: filter, order and pages. Pure.

Source: google.aip.dev/160 and /158; each list method's page names what its filter takes.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

from infra.local.vertex.errors import invalid

Json = dict[str, Any]
PAGE = 100
_CLAUSE = re.compile(
    r"\s*(?P<field>[\w.]+)(?:\[\"?(?P<key>[^\]\"]+)\"?\])?\s*"
    r"(?P<sign>!=|>=|<=|=|:|>|<)\s*(?P<value>\"(?:[^\"\\]|\\.)*\"|[^\s()]+)\s*"
)
_AND = re.compile(r"AND\b", re.IGNORECASE)


def page(items: list[Json], collection: str, query: Mapping[str, str]) -> Json:
    """One page of those that the filter takes: {collection: […], "nextPageToken"?}. Raises GoogleError."""
    clauses = _clauses(query.get("filter", ""))
    found = [item for item in items if all(_holds(item, *clause) for clause in clauses)]
    _order(found, query.get("orderBy", ""))
    size, start = _size(query), _start(query.get("pageToken", ""))
    answer: Json = {collection: found[start : start + size]} if found[start:] else {}
    if found[start + size :]:
        answer["nextPageToken"] = base64.urlsafe_b64encode(str(start + size).encode()).decode()
    return answer


def _clauses(text: str) -> list[tuple[str, str, str]]:
    clauses: list[tuple[str, str, str]] = []
    at = 0
    while at < len(text.rstrip()):
        if clauses:
            joint = _AND.match(text, at)
            if not joint:
                raise _unfit(text)
            at = joint.end()
        match = _CLAUSE.match(text, at)
        if not match:
            raise _unfit(text)
        field = match["field"] + (f".{match['key']}" if match["key"] else "")
        clauses.append((field, match["sign"], _unquoted(match["value"])))
        at = match.end()
    return clauses


def _unfit(text: str) -> Exception:
    return invalid(
        f"Invalid filter: {text!r}; the local Vertex AI takes comparisons joined by AND.", "filter"
    )


def _unquoted(value: str) -> str:
    return re.sub(r"\\(.)", r"\1", value[1:-1]) if value.startswith('"') else value


def _holds(item: Json, field: str, sign: str, value: str) -> bool:
    found = _value(item, field)
    if sign == ":":
        if value == "*":
            return found is not None
        if value.endswith("*") and isinstance(found, str):
            return found.startswith(value[:-1])
        return value in found if isinstance(found, (list, dict)) else value in (found or "")
    if found is None:
        return sign == "!="
    if isinstance(found, list):  # Cloud Build's tags: one of them is meant
        return (value in found) is (sign == "=")
    have = str(found).lower() if isinstance(found, bool) else str(found)
    compared = {"=": have == value, "!=": have != value, "<": have < value, ">": have > value}
    return compared.get(sign, (have <= value) if sign == "<=" else (have >= value))


def _value(item: Json, field: str) -> Any:
    head, _, rest = field.partition(".")
    words = head.split("_")
    name = words[0] + "".join(word.title() for word in words[1:])
    # A model's filter says `model` for the last part of its name, an endpoint's `endpoint`.
    found = (
        item["name"].rpartition("/")[2]
        if head in ("model", "endpoint") and "name" in item
        else item.get(name)
    )
    return found.get(rest) if rest and isinstance(found, dict) else found


def _order(items: list[Json], order: str) -> None:
    for part in reversed([part.split() for part in order.split(",") if part.strip()]):
        items.sort(key=lambda item: str(_value(item, part[0]) or ""), reverse=part[1:] == ["desc"])  # noqa: B023 - used at once


def _size(query: Mapping[str, str]) -> int:
    text = query.get("pageSize", "") or "0"
    if not text.isdigit():
        raise invalid(f"page_size must be a whole number, 0 or more: {text!r}", "page_size")
    return int(text) or PAGE


def _start(token: str) -> int:
    try:
        return int(base64.urlsafe_b64decode(token.encode())) if token else 0
    except (ValueError, binascii.Error) as error:
        raise invalid(f"Invalid page token: {token!r}", "page_token") from error
