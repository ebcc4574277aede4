"""The deploy.toml of an imported project: valid for the local clouds; what a real one needs is marked."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from deploy.importing.kinds import Kind

_LONGEST = 50
_TEXT = """\
# What to deploy, and where. `python -m deploy --help` lists the verbs; a wrong key here is refused by name.
# Laid out by `make import`, for the local clouds as it is: for LIVE=1 set what is marked so.

name = "{name}"

[aws]
region = "us-east-1"                  # set: yours
bucket = "slipway-{name}"             # set: must exist and belong to the role's account
role = "arn:aws:iam::123456789012:role/slipway-execution"  # set: the role that SageMaker takes on
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"  # set: Slipway's serving image
instance_type = "ml.m7i.large"

[gcp]                                 # for CLOUD=gcp
project = "my-project"                # set: yours
region = "us-central1"                # set: yours
bucket = "slipway-{name}-gcp"         # set: must exist and be the project's own
image = "us-central1-docker.pkg.dev/my-project/slipway/serving:1"  # set: Slipway's serving image
machine_type = "n2-standard-2"
"""


def named(text: str) -> str:
    """A deployment's name, as both clouds take it, made of any text."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return (plain if plain[:1].isalpha() else f"model-{plain}")[:_LONGEST].strip("-")


def written(name: str, handler: str, kind: Kind, read: Mapping[str, Path]) -> str:
    """The file's text. `handler` is "" where there is no choice; `read` are the code's files."""
    serving = f'\n[serving]\nhandler = "{handler}"\n' if handler else ""
    told = dict.fromkeys(variables(read), "the code reads it") | dict(kind.environment)
    lines = "".join(f'# {variable} = ""  # {what}\n' for variable, what in told.items())
    environment = f"\n# [environment]                       # of the container\n{lines}" if lines else ""
    return f"{_aligned(_TEXT.format(name=name))}{serving}{environment}"


def _aligned(text: str) -> str:
    """The text with its remarks one below the other, where what they stand behind leaves room."""
    lines = [line.partition("  # ") for line in text.splitlines()]
    return "".join(
        f"{left.rstrip():<36}{mark}{rest}\n" if mark else f"{left}\n" for left, mark, rest in lines
    )


def variables(code: Mapping[str, Path]) -> list[str]:
    """The environment variables that the code asks for by name, but for those that the runtime sets."""
    found = {name for path in code.values() if path.suffix == ".py" for name in _asked(path)}
    return sorted(name for name in found if re.fullmatch(r"(?!SM_|AIP_|SLIPWAY_)[A-Z][A-Z0-9_]*", name))


def _asked(path: Path) -> Iterator[str]:
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except (SyntaxError, ValueError, RecursionError):
        return
    for node in nodes:
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.getenv", "os.environ.get", "getenv"):
            yield from (_text(node.args[0]) for _ in node.args[:1])
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value) in ("os.environ", "environ"):
            yield _text(node.slice)


def _text(node: ast.expr) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
