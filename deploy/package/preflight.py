"""What can be known of the handler and its samples without running them, said before anything is packaged.

The handler is parsed, never imported: its imports may not be installed here, and packaging runs no user code.
Only what is certain is refused; what needs the code to run is found at start, by the samples.
"""

from __future__ import annotations

import ast
import json
import math
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from deploy.package.members import PackageError

REQUIRED = ("load", "predict")
# What a handler that was written for another server binds; which one it is, the runtime says at start.
_ENTRIES = {"handler.py", "inference.py", "predictor.py"}
_OLD = {
    *("model_fn", "input_fn", "predict_fn", "output_fn", "transform_fn"),
    *("EndpointHandler", "BaseHandler", "Predictor", "handle"),
}
_SERVERS = ("ts.torch_handler.", "google.cloud.aiplatform.prediction.")
_DYNAMIC = {"exec", "eval", "globals", "locals", "vars", "setattr", "__import__", "__getattr__"}


def check_handler(code: Path, model: Path | None = None) -> None:
    """Raise PackageError, with the line, if the handler is no Python or surely lacks what it must have.

    One that was written for another server may have any name: its files need only be Python. A `model` that
    may be served without code needs none.
    """
    if _has_old_handler(code):
        return
    path = code / "handler.py"
    if not path.is_file():
        if model is not None and _may_need_no_code(model):
            return
        raise PackageError(str(path), "is not there", "write a class Handler with load and predict in it")
    tree = parsed(path)
    if any(_is_dynamic(node) for node in ast.walk(tree)):
        return
    if not any("Handler" in _bound_names(node) for node in ast.walk(tree)):
        raise PackageError(str(path), "has no class Handler", "define one, with load and predict")
    handler = _plain_class(tree, "Handler")
    if handler is None:
        return
    for name in REQUIRED:
        if not _may_have(tree, handler, name):
            place = f"{path}:{handler.lineno}"
            raise PackageError(place, f"class Handler has no method {name}", f"define {name} in the class")


def check_samples(path: Path) -> None:
    """Raise PackageError, with the line, if a line of the samples is not one JSON value of finite numbers."""
    if not path.is_file():
        return
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                json.loads(line.decode("utf-8"), parse_constant=_not_finite, parse_float=_finite)
            except (ValueError, RecursionError) as error:
                fix = "write one JSON value a line, in UTF-8"
                raise PackageError(f"{path}:{number}", _json_reason(line, error), fix) from error


def parsed(path: Path) -> ast.Module:
    """The file's syntax tree. PackageError, with the line, where it is no Python."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an odd escape in a string is no reason to stop
            return ast.parse(path.read_bytes(), filename=str(path))
    except SyntaxError as error:
        line = (error.text or "").strip()
        said = f"{error.msg}: {line!r}" if line else error.msg
        raise PackageError(f"{path}:{error.lineno or 1}", said, "mend the syntax") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise PackageError(str(path), f"cannot be parsed ({error})", "mend the file") from error


def is_of_another_server(code: Path) -> bool:
    """Whether the code's folder holds a handler that was written for another server, or none: a model that is
    served without code is answered as by the server that it is from.

    PackageError for an entry file that is no Python.
    """
    return _has_old_handler(code) or not (code / "handler.py").is_file()


def _may_need_no_code(model: Path) -> bool:
    """Whether the model may be a pipeline or TorchScript; which of them it is, the runtime says at start."""
    return (model / "config.json").is_file() or any(
        _may_be_torchscript(path) for pattern in ("*.pt", "*.pth") for path in model.glob(pattern)
    )


def _may_be_torchscript(path: Path) -> bool:
    """Whether it is a zip with what torch.save never writes; its table of contents alone is read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, ValueError, OSError):
        return False


def _has_old_handler(code: Path) -> bool:
    entries = [parsed(path) for path in sorted(code.glob("*.py")) if path.name in _ENTRIES]
    packed = [*code.glob("*.mar"), *code.glob("MAR-INF")]
    return bool(packed) or any(map(_is_old, entries)) or any(_others(code))


def _others(code: Path) -> Iterator[bool]:
    """Whether the files that are no entry by their names may be one all the same."""
    for path in sorted(code.glob("*.py")):
        if path.name not in _ENTRIES:
            with suppress(PackageError):  # perhaps nobody imports it
                yield _is_old(parsed(path))


def _is_old(tree: ast.Module) -> bool:
    """Whether a file binds, at its top level, what a handler of another server has, or builds on it."""
    names = {name for node in tree.body for part in _with_names(node) for name in _bound_names(part)}
    return not _OLD.isdisjoint(names) or any(map(_is_of_another, tree.body))


def _is_of_another(node: ast.stmt) -> bool:
    """Whether a statement imports what handlers of a server build on, or is a class that is one."""
    if isinstance(node, ast.ImportFrom):
        return any(f"{node.module}.{alias.name}".startswith(_SERVERS) for alias in node.names)
    if isinstance(node, ast.Import):
        return any(alias.name.startswith(_SERVERS) for alias in node.names)
    return isinstance(node, ast.ClassDef) and _is_old_class(node)


def _is_old_class(node: ast.ClassDef) -> bool:
    """Whether a class has a base of Vertex AI's, or the methods that TorchServe calls and not ours."""
    bases = " ".join(f"{ast.unparse(base)}." for base in node.bases)
    methods = {name for part in node.body for name in _bound_names(part)}
    is_vertex = ".prediction.predictor." in bases or ".prediction.handler." in bases
    return is_vertex or (methods >= {"initialize", "handle"} and not methods >= set(REQUIRED))


def _with_names(node: ast.stmt) -> list[ast.AST]:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return list(node.names)
    return list(node.targets) if isinstance(node, ast.Assign) else [node]


def _is_dynamic(node: ast.AST) -> bool:
    """Say whether a node may bind names that reading cannot show."""
    if isinstance(node, ast.ImportFrom):
        return any(alias.name == "*" for alias in node.names)
    if isinstance(node, ast.FunctionDef):
        return node.name in _DYNAMIC
    return isinstance(node, ast.Name) and node.id in _DYNAMIC


def _bound_names(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        yield node.name
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
        yield node.attr
    elif isinstance(node, ast.alias):
        yield node.asname or node.name


def _plain_class(tree: ast.Module, name: str) -> ast.ClassDef | None:
    """Return the class if it is defined once, and nothing but its own body gives it methods."""
    bound = [node for node in ast.walk(tree) if name in _bound_names(node)]
    if len(bound) != 1 or not isinstance(bound[0], ast.ClassDef):
        return None
    found = bound[0]
    return None if found.bases or found.keywords or found.decorator_list else found


def _may_have(tree: ast.Module, handler: ast.ClassDef, name: str) -> bool:
    inside = (name in _bound_names(node) for node in ast.walk(handler))
    # Handler.predict = … outside the class
    outside = (isinstance(node, ast.Attribute) and name in _bound_names(node) for node in ast.walk(tree))
    return any(inside) or any(outside)


def _not_finite(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise ValueError(f"{number} is too large for a number")
    return value


def _json_reason(line: bytes, error: Exception) -> str:
    if not line.strip():
        return "is an empty line"
    return f"is not UTF-8 ({error})" if isinstance(error, UnicodeDecodeError) else f"is not JSON ({error})"
