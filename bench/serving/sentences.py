"""Texts as people write them, from a line to a paragraph: Python's own manual, which every Python has."""

from __future__ import annotations

import random
import re
from pydoc_data.topics import topics

SHORTEST, LONGEST = 25, 900  # characters


def sentences() -> list[str]:
    """About 1,300 paragraphs of prose, half of them under 140 characters, in an order that never changes."""
    found = {_joined(part) for text in topics.values() for part in re.split(r"\n\s*\n", text)}
    kept = sorted(text for text in found if SHORTEST <= len(text) <= LONGEST and _is_prose(text))
    random.Random(0).shuffle(kept)
    return kept


def _joined(lines: str) -> str:
    return re.sub(r"\s+", " ", lines).strip()


def _is_prose(text: str) -> bool:
    return text[0].isalpha() and not any(mark in text for mark in (">>>", "---", "::="))
