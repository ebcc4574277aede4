"""An interpreter as an old handler finds it: its own modules, without the packages that a test takes away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


class Without:
    """A finder that no longer finds some packages."""

    def __init__(self, finder: Any, names: tuple[str, ...]) -> None:
        self.finder = finder
        self.names = names

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        if _is_below(fullname, self.names):
            return None
        return self.finder.find_spec(fullname, path, target)

    def invalidate_caches(self) -> None:
        getattr(self.finder, "invalidate_caches", lambda: None)()


@pytest.fixture
def interpreter(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Call it with the packages that shall not be installed. What a handler imports, and where it goes, ends
    with the test."""
    before = dict(sys.modules)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.chdir(tmp_path)

    def without(*names: str) -> None:
        for module in [module for module in sys.modules if _is_below(module, names)]:
            del sys.modules[module]
        sys.meta_path[:] = [Without(finder, names) for finder in sys.meta_path]

    yield without
    _restore(before)


def _restore(before: dict[str, ModuleType]) -> None:
    for name in [name for name in sys.modules if name not in before]:
        # What a library has loaded may stay: to load a C extension twice is not always possible.
        file = getattr(sys.modules[name], "__file__", None) or ""
        if "site-packages" not in file and not file.startswith(sys.base_prefix):
            del sys.modules[name]
    sys.modules.update(before)


def _is_below(module: str, names: tuple[str, ...]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


@pytest.fixture(autouse=True)
def no_bytecode(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the runtime has it before it loads a handler: the model's folder stays as it is."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
