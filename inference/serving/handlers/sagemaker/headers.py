"""What AWS's toolkit offers handlers to read headers and files with, under its own names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

CONTENT_TYPE_REGEX = re.compile("^[Cc]ontent-?[Tt]ype")


def read_file(path: str, mode: str = "r") -> Any:
    """What a file holds: text, or bytes where the mode says so."""
    with Path(path).open(mode) as file:
        return file.read()


def write_file(path: str, data: Any, mode: str = "w") -> None:
    """Write text, or bytes where the mode says so."""
    with Path(path).open(mode) as file:
        file.write(data)


def retrieve_content_type_header(request_property: Mapping[str, Any]) -> Any:
    """The first header that is spelled like Content-Type, or None."""
    return next((text for name, text in request_property.items() if CONTENT_TYPE_REGEX.match(name)), None)


def parse_accept(accept: str) -> list[str]:
    """The content types of an Accept header, in its order; weights stay where they are."""
    return accept.replace(" ", "").split(",")


def remove_crlf(illegal_string: str) -> str:
    """The text with blanks where lines end."""
    return illegal_string.replace("\r", " ").replace("\n", " ")
