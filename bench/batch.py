"""The year's 336,776 flights scored five ways in one run: by the bare loop, by Slipway, and by its peers.

    python -m bench.batch [--project DIR] [--times 1 | --input FILE] [--only bare local …] [--memory]

A contestant is a whole command, from its start to its last line; beside it stands the scoring alone, without
imports and the model's loading, where the program tells it. Answers are counted: who loses flights is out.
"""

import argparse
import gc
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import flights
from bench.verbs import local_cloud
from infra.local import archives

ROOT = Path(__file__).parents[1]
MIB = 1024 * 1024
SAMPLE_S = 0.05


@dataclass(frozen=True)
class Contestant:
    """One way to score a file. `needs` is a module without which it is left out."""

    name: str
    what: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    needs: str = ""


@dataclass(frozen=True)
class Result:
    """Seconds of the whole command, of the scoring in it (0: not told), and the peak memory in bytes."""

    seconds: float
    scoring: float
    peak: int
    rows: int


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        place = Path(folder)
        source = options.input or place / "flights.jsonl"
        if not options.input:
            flights.write(source, options.times)
        rows = source.read_bytes().count(b"\n")
        print(f"{rows:,} rows, {source.stat().st_size / 1e6:,.0f} MB")
        model = _unpacked(options.project.resolve(), place / "model")
        with local_cloud(options.project.resolve(), place / "cloud") as address:
            contestants = [
                one
                for one in _contestants(options.project.resolve(), model, address)
                if one.name in options.only
            ]
            _race(contestants, source, place)
        if options.memory:
            _weigh(model, source, place)


def _options() -> argparse.Namespace:
    names = ["bare", "local", "cloud", "mlflow", "ray"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--project", type=Path, default=ROOT, help="with build/model in it (the example)")
    parser.add_argument("--times", type=int, default=1, help="how often the year is repeated (1)")
    parser.add_argument(
        "--input", type=Path, help="another file of JSON Lines, for another project's handler"
    )
    parser.add_argument(
        "--only", nargs="+", choices=names, default=names, metavar="NAME", help=", ".join(names)
    )
    parser.add_argument("--memory", action="store_true", help="also: peak memory at 1 and 10 times the rows")
    return parser.parse_args()


def _contestants(project: Path, model: Path, address: Mapping[str, str]) -> list[Contestant]:
    python = sys.executable
    program = (python, "-m", "bench.contestants")
    return [
        Contestant("bare", "(a) the handler in a loop", (*program, "bare", str(model), "{in}", "{out}/out")),
        Contestant(
            "local",
            "(b) inference.serving batch",
            (python, "-m", "inference.serving", "batch", "{in}", "{out}", "--model", str(model)),
        ),
        Contestant(
            "cloud",
            "(c) batch-transform, local cloud",
            (python, "-m", "deploy", "batch-transform", "--project", str(project), "--input", "{in}")
            + ("--output", "{out}"),
            address,
        ),
        Contestant(
            "mlflow",
            "(d) MLflow pyfunc predict",
            (*program, "mlflow", str(model), "{in}", "{out}/out"),
            needs="mlflow",
        ),
        Contestant(
            "ray", "(d) Ray Data map_batches", (*program, "ray", str(model), "{in}", "{out}/out"), needs="ray"
        ),
    ]


def _race(contestants: Sequence[Contestant], source: Path, place: Path) -> None:
    rows = source.read_bytes().count(b"\n")
    yardstick: Result | None = None
    for one in contestants:
        if one.needs and importlib.util.find_spec(one.needs) is None:
            print(f"{one.what:36} left out: {one.needs} is not installed")
            continue
        result = run(one, source, place)
        if result.rows != rows:
            raise SystemExit(f"{one.what}: {result.rows:,} answers to {rows:,} rows")
        yardstick = yardstick or result
        print(_line(one, result, yardstick), flush=True)


def _line(one: Contestant, result: Result, yardstick: Result) -> str:
    whole = f"{result.seconds:7.1f} s {yardstick.seconds / result.seconds:6.2f} x"
    scoring = f"{result.scoring:7.1f} s {yardstick.scoring / result.scoring:6.2f} x" if result.scoring else ""
    return (
        f"{one.what:36} {result.rows / result.seconds:9,.0f} rows/s {whole}   scoring {scoring or 'not told'}"
    )


def run(one: Contestant, source: Path, place: Path) -> Result:
    """Run a contestant on a file, in a fresh folder; its answers are the lines of what it leaves there."""
    with tempfile.TemporaryDirectory(dir=place) as folder:
        words = [word.replace("{in}", str(source)).replace("{out}", folder) for word in one.command]
        gc.collect()
        start = time.perf_counter()
        with (place / "printed").open("w+") as printed:
            process = subprocess.Popen(
                words, cwd=ROOT, env={**os.environ, **one.environment}, stdout=printed, stderr=printed
            )
            peak = _watched(process)
            seconds = time.perf_counter() - start
            printed.seek(0)
            text = printed.read()
        if process.returncode:
            raise SystemExit(f"{one.what} failed:\n{text}")
        return Result(seconds, _told(one, text), peak, _answers(Path(folder)))


def _told(one: Contestant, text: str) -> float:
    """The seconds of scoring that the program printed: a peer's last word, or a line of our report."""
    if "bench.contestants" in one.command:
        return float(text.split()[-1])
    report = re.search(r"^scored in ([\d.]+) s", text, re.MULTILINE)
    return float(report[1]) if report else 0.0


def _answers(folder: Path) -> int:
    """Lines of results: a folder's, for a peer that writes many files."""
    files = [path for path in folder.rglob("*") if path.is_file() and _is_result(path)]
    return sum(path.read_bytes().count(b"\n") for path in files)


def _is_result(path: Path) -> bool:
    hidden = any(part.startswith(".") for part in path.parts[-2:])
    return not hidden and "mlflow-model" not in path.parts and path.name != "report.json"


def _watched(process: "subprocess.Popen[bytes]") -> int:
    """Wait for the end; the largest sum of the whole tree's memory that was seen, shared pages once."""
    peak, ended = 0, threading.Event()

    def look() -> None:
        nonlocal peak
        while not ended.wait(SAMPLE_S):
            peak = max(peak, sum(_proportional(pid) for pid in _tree(process.pid)))

    watcher = threading.Thread(target=look)
    watcher.start()
    process.wait()
    ended.set()
    watcher.join()
    return peak


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in children:
            yield from _tree(int(child))


def _proportional(pid: int) -> int:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def _weigh(model: Path, source: Path, place: Path) -> None:
    """Peak memory of (b) above a process that holds the loaded model alone, at 1 and at 10 times the rows."""
    few = place / "few.jsonl"
    with source.open("rb") as lines:
        few.write_bytes(next(lines))
    bare, local, *_ = _contestants(ROOT, model, {})
    loaded = run(bare, few, place).peak
    print(f"one process with the model loaded: {loaded / MIB:,.0f} MB")
    tenfold = place / "tenfold.jsonl"
    with tenfold.open("wb") as file:
        for _ in range(10):
            file.write(source.read_bytes())
    for times, path in ((1, source), (10, tenfold)):
        peak = run(local, path, place).peak
        print(
            f"(b) at {times:2} times the rows: {peak / MIB:,.0f} MB, {(peak - loaded) / MIB:,.0f} MB above it"
        )


def _unpacked(project: Path, folder: Path) -> Path:
    """The project's archive, packaged anew as a deploy does it, unpacked."""
    from deploy import package

    if not (project / "build/model").is_dir():
        raise SystemExit(f"{project / 'build/model'} is not there: `make train` makes it")
    archive = package.build(project / "build/model", project / "inference", folder.with_suffix(".tar.gz"))
    folder.mkdir()
    with archive.path.open("rb") as stream:
        archives.unpack(stream, folder, archives.Limits())
    return folder


if __name__ == "__main__":
    main()
