"""Absolute paths in the handler's code: another machine has no such folder.

Only texts are looked at that are handed to something: a docstring may say what it likes.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from deploy.checking.findings import Finding, error, warning
from deploy.checking.subject import Subject
from deploy.package.members import PackageError
from deploy.package.preflight import parsed

_SOMEBODYS = re.compile(r"(/Users/|/home/|/root/|/mnt/|/Volumes/|/content/|/kaggle/|[A-Za-z]:[\\/])[^\s]*")
_PLATFORMS = re.compile(r"/opt/ml(/[^\s]*)?")


def found(subject: Subject) -> Iterator[Finding]:
    """Paths of somebody's machine, and SageMaker's own, which Vertex AI has not."""
    for path in sorted((subject.model / "code").rglob("*.py")):
        member = path.relative_to(subject.model).as_posix()
        for line, text in _texts(path):
            place = f"{subject.place(member)}:{line}"
            if _SOMEBODYS.fullmatch(text):
                yield error(place, f"{text!r} is a path of this machine", _FIX)
            elif _PLATFORMS.fullmatch(text):
                yield warning(place, f"{text!r} is SageMaker's path, and Vertex AI has another", _FIX)


_FIX = "use model_dir, which load gets, or Path(__file__).parent"


def _texts(path: Path) -> Iterator[tuple[int, str]]:
    """The texts of a file with their lines, but for those that stand by themselves."""
    try:
        tree = parsed(path)
    except PackageError:  # perhaps nobody imports it; the run says so where somebody does
        return
    alone = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in alone:
            yield node.lineno, node.value
