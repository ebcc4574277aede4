"""The project's Terraform files, as far as they can be read without Terraform: python-hcl2 parses them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hcl2

FILES = sorted((Path(__file__).parents[1] / "infra/gcp").glob("*.tf"))


def resources(kind: str = "") -> dict[str, dict[str, Any]]:
    """Every resource of that kind, or of all, by its address ("google_storage_bucket.models")."""
    return {f"{found}.{name}": body for found, name, body in _resources() if not kind or found == kind}


def permissions(*roles: str) -> set[str]:
    """All that these custom roles of ours, by their names in the files, allow."""
    custom = resources("google_project_iam_custom_role")
    return {one for name in roles for one in custom[f"google_project_iam_custom_role.{name}"]["permissions"]}


def text() -> str:
    """All files in one."""
    return "\n".join(path.read_text() for path in FILES)


def _resources() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path in FILES:
        for block in hcl2.loads(path.read_text()).get("resource", []):
            for kind, named in block.items():
                for name, body in named.items():
                    yield _plain(kind), _plain(name), _plain(body)


def _plain(value: Any) -> Any:
    """Without the quotes that python-hcl2 leaves around text, and without its marks."""
    if isinstance(value, dict):
        return {_plain(key): _plain(one) for key, one in value.items() if key != "__is_block__"}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value[1:-1] if isinstance(value, str) and value[:1] == value[-1:] == '"' else value
