"""The small functions of ts.utils.util: classes of a module, and labels for what a classifier finds."""

from __future__ import annotations

import inspect
import json
import logging
from itertools import repeat
from pathlib import Path
from types import ModuleType
from typing import Any

_LOGGER = logging.getLogger(__name__)


def list_classes_from_module(module: ModuleType, parent_class: type | None = None) -> list[type]:
    """The classes that a module defines, and does not import, by name."""
    own = [found for _, found in inspect.getmembers(module, inspect.isclass)]
    own = [found for found in own if found.__module__ == module.__name__]
    return [found for found in own if parent_class is None or issubclass(found, parent_class)]


def load_label_mapping(mapping_file_path: str) -> dict[str, str] | None:
    """index_to_name.json: a label for each class, its last where there are several; None without a file."""
    path = Path(mapping_file_path)
    if not path.is_file():
        _LOGGER.warning("%s is not there: predictions will have no class names", path.name)
        return None
    mapping = json.loads(path.read_text())
    if not isinstance(mapping, dict):
        raise TypeError(f'{path.name}: expected an object of "class": "label"')
    names = mapping.get("object_type_names")
    if isinstance(names, list):
        mapping = {str(number): name for number, name in enumerate(names)}
    return {key: _label(path.name, value) for key, value in mapping.items()}


def _label(file: str, value: Any) -> str:
    label = value[-1] if isinstance(value, list) and value else value
    if not isinstance(label, str):
        raise TypeError(f"{file}: label {value!r}: expected text, or a list of it")
    return label


def map_class_to_label(
    probs: list[list[float]], mapping: dict[str, str] | None = None, lbl_classes: Any = None
) -> list[dict[str, float]]:
    """For each row a label, or a class number where there is no mapping, with its probability."""
    if not isinstance(probs, list) or not isinstance(mapping, dict | None):
        raise TypeError("expected probabilities as lists, and labels as a dict")
    classes = repeat(range(len(probs[0]))) if lbl_classes is None else lbl_classes
    return [
        {
            mapping[str(number)] if mapping else str(number): value
            for number, value in zip(row, values, strict=False)
        }
        for row, values in zip(classes, probs, strict=False)
    ]
