"""Every fault that the runtime must bear is shown by a test, which names its row in its docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# The rows of the list of faults that are the runtime's. `pytest -k` finds no docstring: grep "of the faults".
ROWS = {
    1: "a worker is killed with 9",
    2: "a worker is stopped, or loops without an end",
    3: "SIGTERM under load",
    4: "a handler that ignores SIGTERM",
    5: "a handler that cannot be imported",
    6: "a model that takes too long to load",
    7: "a /ping that takes too long",
    8: "an invocation that takes too long",
    9: "a handler that computes, or keeps the interpreter's lock",
    10: "no memory is left",
    11: "more requests than may wait",
    12: "a client that leaves in the middle",
    13: "a client that sends slowly, without an end",
    14: "a body above the limit",
    15: "a flood of chunks of one byte",
    16: "a malformed body",
    17: "a body or an archive that attacks",
    32: "many requests, for a long time",
}
NAMED = re.compile(r"\brows?\s+((?:\d+|,|and|to|\s)+?)\s*of\s+the\s+faults", re.IGNORECASE)


def rows(text: str) -> set[int]:
    """The rows that a docstring names: "Row 3 of the faults", "Rows 1, 2 and 5 to 7 of the faults"."""
    found: set[int] = set()
    for said in NAMED.findall(text):
        for first, last in re.findall(r"(\d+)(?:\s+to\s+(\d+))?", said):
            found |= set(range(int(first), int(last or first) + 1))
    return found


def docstrings(path: Path) -> Iterator[str]:
    """Those of a module of tests and of the tests in it."""
    tree = ast.parse(path.read_text())
    tests = [
        one for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) and one.name.startswith("test_")
    ]
    for node in (tree, *tests) if tests else ():
        yield ast.get_docstring(node) or ""


def test_every_row_is_named_by_a_test():
    named = {row for path in TESTS.rglob("test_*.py") for text in docstrings(path) for row in rows(text)}
    assert {row: what for row, what in ROWS.items() if row not in named} == {}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Row 3 of the faults.", {3}),
        ("All that: rows 1, 2, 9\nand 10 of the faults, and more", {1, 2, 9, 10}),
        ("Rows 14 to 17 of the faults", {14, 15, 16, 17}),
        ("Row 3 of a table; none of the faults", set()),
    ],
)
def test_a_row_is_named_in_words(text, found):
    assert rows(text) == found
