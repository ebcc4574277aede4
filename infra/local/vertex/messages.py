"""Requests checked against Google's own messages: what those do not know is refused as the API refuses it.

Google's SDK takes seconds to import, so it is imported when the first request comes.
"""

from __future__ import annotations

import importlib
import re
import threading
from typing import Any

from infra.local.vertex.errors import GoogleError, invalid

INSTALL = (
    "the local Vertex AI needs Google's SDK: python -m pip install -c constraints.txt "
    "-r infra/local/requirements-gcp.txt, then python -m infra.local down"
)
_UNKNOWN = re.compile(r'Message type "([^"]+)" has no field named "(?P<field>[^"]*)" at "(?P<at>[^"]*)"')
_IMPORTING = threading.Lock()


def checked(kind: str, body: Any, at: str = "") -> dict[str, Any]:
    """The body as aiplatform_v1's message of that kind (`Endpoint`, `DeployModelRequest`), in JSON's names.

    Defaults are left out, enums are their names, 64-bit integers are strings: the form in which the API
    answers. `at` is the request's field that the body stands for (`endpoint`), for the error. Raises
    GoogleError INVALID_ARGUMENT for an unknown field or a value of a wrong type, and UNIMPLEMENTED where
    Google's SDK is not installed.
    """
    from google.protobuf import json_format

    message = _types()[kind]
    if not isinstance(body, dict):
        raise invalid("Invalid JSON payload received. The body is not a JSON object.")
    try:
        filled = json_format.ParseDict(body, message.pb(message()))
    except json_format.ParseError as error:
        raise _refusal(str(error), at) from error
    answer: dict[str, Any] = json_format.MessageToDict(filled)
    return answer


def load() -> None:
    """Imports Google's SDK now, so that the first request finds it. Raises GoogleError UNIMPLEMENTED."""
    _types()


def _types() -> dict[str, Any]:
    with _IMPORTING:
        try:
            importlib.invalidate_caches()  # it may have been installed since the local cloud started
            from google.cloud import aiplatform_v1
        except ImportError as error:
            raise GoogleError("UNIMPLEMENTED", f"{INSTALL} ({error})") from error
    return vars(aiplatform_v1)


def _refusal(said: str, within: str) -> GoogleError:
    """json_format's complaint in the words of Google's front end."""
    unknown = _UNKNOWN.search(said)
    if unknown:
        at = ".".join(filter(None, (within, unknown["at"].partition(".")[2])))
        place = f" at '{at}'" if at else ""
        text = f'Invalid JSON payload received. Unknown name "{unknown["field"]}"{place}: Cannot find field.'
        return invalid(text, at or unknown["field"])
    return invalid(f"Invalid JSON payload received. {said.splitlines()[0]}")
