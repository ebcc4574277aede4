"""python -m bench.serving.peers make NAME …: make the environments that servers are measured in."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from bench.serving.peers import environments


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.serving.peers", description=__doc__)
    parser.add_argument("verb", choices=["make"])
    parser.add_argument("names", nargs="+", choices=environments.names(), metavar="NAME")
    parser.add_argument(
        "--environments", type=Path, default=environments.STANDARD, help="their folder (.venv-bench)"
    )
    options = parser.parse_args()
    options.environments.mkdir(parents=True, exist_ok=True)
    return max([_make(options.environments, name) for name in options.names])


def _make(folder: Path, name: str) -> int:
    print(f"making {folder / name}", flush=True)
    try:
        environments.make(folder, name)
    except subprocess.CalledProcessError:
        print(f"{name}: pip could not install it (its words are above)", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
