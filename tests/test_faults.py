"""Every fault that must be borne is shown by a test, which names its row in its docstring."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
# The rows of the list of faults. `pytest -k` finds no docstring: grep "of the faults".
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
    18: "an archive that is damaged",
    19: "a file of a batch with a bad record",
    20: "a handler of a batch that fails twice and then answers",
    21: "a batch that is killed and run again",
    22: "a record above the limit",
    23: "another number of outputs than of inputs that they are joined to",
    24: "Ctrl-C at every step of a deploy",
    25: "two deploys at once",
    26: "a cloud that throttles, fails or does not answer",
    27: "an update that fails",
    28: "credentials that are absent, expired or another account's; a foreign bucket",
    29: "a full disk",
    30: "an unusual locale and time zone, a read-only disk, an ordinary user, no network",
    31: "a port that is taken",
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
