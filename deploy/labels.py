"""What may stand in [gcp.labels]: Google's rules, and room for the labels that Slipway sets itself. Pure.

Source: cloud.google.com/resource-manager/docs/labels-overview, "Requirements for labels".
"""

from collections.abc import Mapping

OWN = "slipway-"
MOST = 56  # of the 64 that a resource may have: the others are for Slipway's own
MAX_CHARACTERS, MAX_BYTES = 63, 128


def wrong_labels(labels: Mapping[str, object]) -> list[str]:
    """A sentence for each label that Google would refuse, or that is Slipway's own."""
    found = [text for key, value in labels.items() if (text := _wrong_key(key) or _wrong_value(key, value))]
    return found + ([f"{len(labels)} labels, expected at most {MOST}"] if len(labels) > MOST else [])


def _wrong_key(key: str) -> str:
    if not (key and _fits(key) and key[0].isalpha()):
        return (
            f"{key[:70]!r} is no label's name, expected 1 to {MAX_CHARACTERS} small letters, digits, "
            "'_' and '-', a letter first, such as cost-centre"
        )
    return f"{key} is reserved: Slipway finds its own by {OWN}… labels" if key.startswith(OWN) else ""


def _wrong_value(key: str, value: object) -> str:
    if isinstance(value, str) and _fits(value):
        return ""
    shown = repr(value)[:72]
    return (
        f"{key} is {shown}, expected at most {MAX_CHARACTERS} small letters, digits, '_' and '-' in quotes, "
        'such as "forecasts"'
    )


def _fits(text: str) -> bool:
    """Letters of every alphabet count, where they have no case or the small one."""
    small = all(one in "_-" or (one.isalnum() and one == one.lower()) for one in text)
    return small and len(text) <= MAX_CHARACTERS and len(text.encode()) <= MAX_BYTES
