"""Modules that an old handler imports and only its old server had: ours, where no real one is installed.

They are found last, after everything on sys.path, so a package that is installed is never hidden. What stands
in is made of objects that are loaded already: the runtime takes its own modules out of the handler's sight.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from os.path import commonprefix
from types import ModuleType
from typing import Any

# A module's dotted name, and what it holds.
Modules = Mapping[str, Mapping[str, Any]]


def hide(package: str, modules: Modules) -> None:
    """Let these modules be imported in the place of those that are installed, which cannot be: a part of the
    package is missing. `package` is as in offer."""
    shared = commonprefix([name.split(".") for name in modules])
    sys.meta_path.insert(0, finder := _Finder())
    for name, content in modules.items():
        finder.add(name, content, package)
        for length in range(len(shared), name.count(".") + 1):
            finder.add(".".join(name.split(".")[:length]), {}, package)


def offer(package: str, modules: Modules) -> None:
    """Let these modules be imported wherever nothing of their name is installed; their parents come by
    themselves. `package` is what pip would install them by. To offer a module again adds to what it holds."""
    shared = commonprefix([name.split(".") for name in modules])
    finder = next((found for found in sys.meta_path if isinstance(found, _Finder)), None)
    if finder is None:
        sys.meta_path.append(finder := _Finder())
    for name, content in modules.items():
        finder.add(name, content, package)
        for length in range(1, name.count(".") + 1):
            parent = name.split(".")[:length]
            # Above what the package has to itself, others may be at home: google.cloud is no one's.
            finder.add(".".join(parent), {}, package if parent[: len(shared)] == shared else "")
    importlib.invalidate_caches()


def package_of(module: str) -> str:
    """The package that this module, or what it would be part of, is stood in for; "" where it is not."""
    parts = module.split(".")
    names = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    loaders = (getattr(sys.modules.get(name), "__loader__", None) for name in names)
    return next((loader.package for loader in loaders if isinstance(loader, _Loader)), "")


class _Finder(MetaPathFinder):
    def __init__(self) -> None:
        self._loaders: dict[str, _Loader] = {}

    def add(self, name: str, content: Mapping[str, Any], package: str) -> None:
        self._loaders.setdefault(name, _Loader(package)).content.update(content)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._loaders:
            return None
        is_package = any(name.startswith(f"{fullname}.") for name in self._loaders)
        return ModuleSpec(fullname, self._loaders[fullname], is_package=is_package)


class _Loader(Loader):
    def __init__(self, package: str) -> None:
        self.package = package
        self.content: dict[str, Any] = {}

    def exec_module(self, module: ModuleType) -> None:
        module.__doc__ = "Slipway's stand-in for a module that is not installed."
        vars(module).update(self.content)

        def submodule(name: str) -> Any:
            # Of a real package most submodules are loaded with it, and so are names of it.
            try:
                if name.startswith("__"):  # asked for by the import itself
                    raise ModuleNotFoundError
                return importlib.import_module(f"{module.__name__}.{name}")
            except ModuleNotFoundError:
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}") from None

        vars(module)["__getattr__"] = submodule
