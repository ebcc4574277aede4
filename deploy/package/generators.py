"""Whether a handler's answers come piece by piece, read off its text: predict is then a generator."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from deploy.package.preflight import is_of_another_server, parsed

_OWN_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


def streams(code: Path) -> bool:
    """Whether Handler.predict, in the code's folder, yields.

    A predict that the class has from elsewhere is not seen. PackageError for an entry file that is no Python.
    """
    path = code / "handler.py"
    if not path.is_file() or is_of_another_server(code):
        return False
    return any(
        isinstance(step, ast.FunctionDef) and step.name == "predict" and any(map(_is_yield, _own(step)))
        for handler in parsed(path).body
        if isinstance(handler, ast.ClassDef) and handler.name == "Handler"
        for step in handler.body
    )


def _own(node: ast.AST) -> Iterator[ast.AST]:
    """What is in a function, without what is in functions and classes inside of it."""
    for inner in ast.iter_child_nodes(node):
        if not isinstance(inner, _OWN_SCOPES):
            yield inner
            yield from _own(inner)


def _is_yield(node: ast.AST) -> bool:
    return isinstance(node, ast.Yield | ast.YieldFrom)
