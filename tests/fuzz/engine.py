"""One target under atheris, in a process of its own: libFuzzer ends it where something is found."""

from __future__ import annotations

import sys

import atheris

# Before anything of ours is imported: what is imported in here is watched.
with atheris.instrument_imports(include=["inference", "deploy", "tests.fuzz", "tarfile", "zipfile", "csv"]):
    from tests.fuzz.finding import find

    target = find(sys.argv[1])


def main() -> None:
    """`engine.py TARGET` and libFuzzer's own arguments."""
    atheris.Setup([sys.argv[0], *sys.argv[2:]], target.run)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
