"""`python -m tests.fuzz [TARGET] [--seconds 60]`: fuzz every target, or one, or give it one FILE again."""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.finding import find

ROOT = Path(__file__).parents[2]
FOUND = ROOT / "build" / "fuzz"
MISSING = (
    "atheris is not installed: it has wheels for Linux on x86-64 with Python 3.11 to 3.13 alone "
    f"(this is {sys.platform}, Python {sys.version.split()[0]}); pip install -r tests/requirements.txt"
)


@dataclass(frozen=True)
class Limits:
    """How long a target is fuzzed; `runs` and `seconds`, whichever comes first, 0 for no end."""

    seconds: int = 0
    runs: int = 0
    one_input_s: int = 20
    most_mib: int = 2048


@dataclass(frozen=True)
class Outcome:
    """How it ended: the exit status, what was printed, and the inputs that were found."""

    returncode: int
    said: str
    found: list[Path]


def is_here() -> bool:
    """Whether atheris can be imported."""
    return importlib.util.find_spec("atheris") is not None


def fuzz(name: str, limits: Limits, found: Path, *files: str) -> Outcome:
    """Fuzz one target from its seeds, or give it these files alone."""
    found.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="slipway-fuzz-") as corpus:
        if not files:
            write_seeds(name, Path(corpus))
        command = [sys.executable, "-m", "tests.fuzz.engine", name, *_options(limits, found / f"{name}-")]
        done = subprocess.run(
            [*command, *(files or [corpus])],
            cwd=ROOT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    return Outcome(done.returncode, done.stdout, sorted(found.glob(f"{name}-*")))


def write_seeds(name: str, corpus: Path) -> None:
    """The target's sound inputs, a file each."""
    for number, seed in enumerate(find(name).seeds):
        (corpus / f"seed-{number}").write_bytes(seed)


def _options(limits: Limits, prefix: Path) -> list[str]:
    options = {
        "seed": 1,
        "max_len": 20_000,
        "max_total_time": limits.seconds,
        "timeout": limits.one_input_s,
        "rss_limit_mb": limits.most_mib,
        "print_final_stats": 1,
        "artifact_prefix": prefix,
    }
    if limits.runs:
        options["runs"] = limits.runs
    return [f"-{name}={value}" for name, value in options.items()]


def main(arguments: list[str]) -> int:
    """0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("target", nargs="?")
    parser.add_argument("file", nargs="*")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    given = parser.parse_args(arguments)
    if not is_here():
        print(MISSING, file=sys.stderr)
        return 2
    from tests.fuzz import targets

    failed = 0
    for name in [given.target] if given.target else targets.TARGETS:
        outcome = fuzz(name, Limits(seconds=given.seconds), FOUND, *given.file)
        executed = [line for line in outcome.said.splitlines() if "number_of_executed_units" in line]
        print(f"{name}: {'found' if outcome.returncode else 'nothing'} {' '.join(executed)}", flush=True)
        if outcome.returncode:
            failed = 1
            print(outcome.said[-4000:])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
