"""infra/aws/template.yaml as tests read it: its roles and what their statements are called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

TEMPLATE = Path(__file__).parents[1] / "infra/aws/template.yaml"


class _Loader(yaml.SafeLoader):
    """YAML in which `!Sub "…"` and its like are what stands behind them."""


def _plain(loader: Any, _suffix: str, node: Any) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    return loader.construct_sequence(node, deep=True)


_Loader.add_multi_constructor("!", _plain)


def statements(role: str) -> list[str]:
    """The statements of a role of the template, by its name there: `policy/Sid`."""
    resources = yaml.load(TEMPLATE.read_text(), _Loader)["Resources"]  # noqa: S506 - a SafeLoader
    return [
        f"{policy['PolicyName']}/{statement['Sid']}"
        for policy in resources[role]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
