"""What must never leave the machine in an archive: files that are secrets by name, and secrets inside text.

An archive is copied to a bucket, to every instance and into backups, and is kept. A key in it cannot be
called back, so a false alarm costs less than a miss, and there is no switch to silence one.
Source of the list: the credential check that AWS runs over its own deep learning images, and the prefixes
that GitHub, Hugging Face, Slack, Google and OpenAI give to their tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import translate

# Matched in lower case against "/" + the path under the packaged folder; `*` crosses folders.
SECRET_NAMES = (
    "*/.env",
    "*/.env.*",
    "*/.envrc",
    "*.env",
    "*/.netrc",
    "*/_netrc",
    "*/.pypirc",
    "*/.npmrc",
    "*/.htpasswd",
    "*/.pgpass",
    "*/.git",
    "*/.git-credentials",
    "*/.aws",
    "*/.ssh",
    "*/.docker/config.json",
    "*/credentials",
    "*/credentials.json",
    "*/application_default_credentials.json",
    "*/service-account*.json",
    "*/service_account*.json",
    "*/kaggle.json",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.keystore",
    "*/id_rsa*",
    "*/id_dsa*",
    "*/id_ecdsa*",
    "*/id_ed25519*",
    "*/huggingface/token",
    "*/huggingface/stored_tokens",
    "*/.huggingface/token",
    "*/.hf_token*",
    "*/hf_token*",
)
_SECRET_NAME = re.compile("|".join(translate(pattern) for pattern in SECRET_NAMES), re.DOTALL)


@dataclass(frozen=True)
class Finding:
    """Where in a text a secret seems to be, and of what kind; never the secret itself."""

    line: int
    kind: str


@dataclass(frozen=True)
class _Rule:
    kind: str
    # One of these must be there, in lower case, before the slower pattern is tried at all.
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    also: re.Pattern[bytes] | None = None


def _rule(kind: str, anchors: str, pattern: str, also: str | None = None) -> _Rule:
    wanted = re.compile(also.encode()) if also else None
    return _Rule(kind, tuple(anchors.encode().split()), re.compile(pattern.encode()), wanted)


_RULES = (
    _rule("an AWS access key id", "akia asia", r"(?<![A-Za-z0-9])A[KS]IA[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _rule(
        "an AWS secret access key",
        "secret_access_key secretaccesskey",
        r"""(?i)secret_?access_?key["']?\s{0,8}[=:]\s{0,8}["']?[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+])""",
    ),
    _rule("a GitHub token", "ghp_ gho_ ghu_ ghs_ ghr_", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{30,}"),
    _rule("a GitHub token", "github_pat_", r"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9_]{22,}"),
    _rule("a Hugging Face token", "hf_", r"(?<![A-Za-z0-9_])hf_[A-Za-z0-9]{30,}"),
    # Style sheets say sk-estimator-doc-link: a key has a capital and a digit.
    _rule(
        "an API key",
        "sk-",
        r"(?<![A-Za-z0-9_-])sk-(?=[A-Za-z0-9_-]*[0-9])(?=[A-Za-z0-9_-]*[A-Z])[A-Za-z0-9_-]{20,}",
    ),
    _rule(
        "a Slack token",
        "xoxb- xoxa- xoxp- xoxr- xoxs-",
        r"(?<![A-Za-z0-9])xox[baprs]-[A-Za-z0-9-]{10,}",
    ),
    _rule("a Google API key", "aiza", r"(?<![A-Za-z0-9_-])AIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])"),
    _rule("a JSON Web Token", "eyj", r"(?<![A-Za-z0-9])eyJ[\w-]{10,}\.eyJ[\w-]{10,}\."),
    _rule("a private key", "private key", r"-----BEGIN [A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----"),
    _rule(
        "a Google service account's key",
        "service_account",
        r'"type"\s{0,8}:\s{0,8}"service_account"',
        also=r'"private_key"\s{0,8}:\s{0,8}"[^"]',
    ),
    # `${TOKEN}`, `{token}`, `%s` and `<token>` stand for a secret and are none.
    _rule(
        "a password in a URL",
        "://",
        r"""://[^\s/:@"'<>]{0,256}:(?!\$|\{|<|%s|%\()[^\s/@"'<>]{1,256}@""",
    ),
)


def is_secret_name(path: str) -> bool:
    """Say whether a file or folder holds secrets going by its name. `path` is relative, with `/` between."""
    return _SECRET_NAME.match("/" + path.lower()) is not None


def is_text(data: bytes) -> bool:
    """Say whether bytes are text, as grep decides it: no NUL among them."""
    return b"\0" not in data


def find_secret(text: bytes) -> Finding | None:
    """Find the first thing in a text that has the form of a secret, or None."""
    lowered = text.lower()
    found = [hit for rule in _RULES if (hit := _first_hit(rule, text, lowered))]
    if not found:
        return None
    start, kind = min(found)
    return Finding(line=text.count(b"\n", 0, start) + 1, kind=kind)


def _first_hit(rule: _Rule, text: bytes, lowered: bytes) -> tuple[int, str] | None:
    if not any(anchor in lowered for anchor in rule.anchors):
        return None
    hit = rule.pattern.search(text)
    if hit is None or (rule.also is not None and rule.also.search(text) is None):
        return None
    return hit.start(), rule.kind
