"""How fast a model is packaged and unpacked, and in how much memory, beside tarfile's `w:gz` in the same run.

`python -m bench.packaging [--mb 1024] [--kind weights|bytes|text]`. Every measurement is a process of its own
so that its peak memory is its own. The ratio is what to keep: seconds are those of this machine at this hour.
Needs Linux (/proc) and four times the model's size in free disk, all of it given back.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
MB = 1_000_000
HANDLER = "class Handler:\n    def load(self, folder): ...\n    def predict(self, inputs): ...\n"


@dataclass(frozen=True)
class Measured:
    """One piece of work in a fresh process. Memory is what its peak grew by while it worked."""

    seconds: float
    cpu_seconds: float
    grown_mb: float
    size: int


def write_model(path: Path, megabytes: int, kind: str) -> None:
    """Write one file of float32 weights, of random bytes, or of text, the same for the same arguments."""
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for number in range(0, megabytes, 4):
            size = min(4, megabytes - number) * MB
            if kind == "weights":
                file.write(rng.standard_normal(size // 4, dtype=np.float32).tobytes())
            elif kind == "bytes":
                file.write(rng.bytes(size))
            else:
                file.write(b" ".join(b"%d" % n for n in rng.integers(0, 10_000, size // 5))[:size])


def package(project: Path) -> Path:
    """The kit's own archive."""
    from deploy.package import build

    return build(project / "model", project / "code", project / "model.tar.gz").path


def plain_tarfile(project: Path) -> Path:
    """The archive that tarfile makes at its default level, 9."""
    out = project / "plain.tar.gz"
    with tarfile.open(out, "w:gz", compresslevel=9) as archive:
        archive.add(project / "model", "")
        archive.add(project / "code", "code")
    return out


def unpack(project: Path) -> Path:
    """The kit's archive, unpacked as the local cloud does it."""
    from infra.local import archives

    there = project / "unpacked"
    there.mkdir()
    with (project / "model.tar.gz").open("rb") as stream:
        archives.unpack(stream, there, archives.Limits())
    return there / "model.bin"


WORK: dict[str, Callable[[Path], Path]] = {"package": package, "tarfile": plain_tarfile, "unpack": unpack}


def measure_here(work: Callable[[Path], Path], project: Path) -> dict[str, float]:
    """Do the work in this process and say what it took."""
    grown, began, cpu = _peak_mb(), time.perf_counter(), time.process_time()
    size = work(project).stat().st_size
    took = {"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - cpu}
    return took | {"grown_mb": _peak_mb() - grown, "size": size}


def measure(work: str, project: Path) -> Measured:
    """Do the work in a process of its own."""
    command = [sys.executable, "-m", "bench.packaging", "--measure", work, "--folder", str(project)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return Measured(**json.loads(done.stdout))


def _peak_mb() -> float:
    # Not getrusage: what it reports starts at the peak of the process that started this one.
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024 / MB


def report(megabytes: int, kind: str, results: dict[str, Measured]) -> str:
    """Write the figures as a table, ratios first."""
    ours, theirs = results["package"], results["tarfile"]
    lines = [
        f"{megabytes} MB of {kind}",
        f"packaging: {theirs.seconds / ours.seconds:.1f} times as fast as tarfile w:gz level 9 "
        f"({theirs.cpu_seconds / ours.cpu_seconds:.1f} times by CPU time), "
        f"archive {ours.size / theirs.size:.3f} of its size",
        "",
        f"{'':10}{'seconds':>10}{'MB/s':>8}{'CPU s':>8}{'peak grew MB':>14}{'bytes out':>15}",
    ]
    for name, took in results.items():
        rate = megabytes / took.seconds
        lines.append(
            f"{name:10}{took.seconds:10.2f}{rate:8.0f}{took.cpu_seconds:8.2f}"
            f"{took.grown_mb:14.1f}{took.size:15,}"
        )
    return "\n".join(lines)


def main() -> None:
    """Run the comparison, or one measurement of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mb", type=int, default=1024, help="size of the model, in MB of 10^6 bytes")
    parser.add_argument("--kind", choices=("weights", "bytes", "text"), default="weights")
    parser.add_argument("--folder", type=Path, default=None, help="where to work (a temporary folder)")
    parser.add_argument("--measure", choices=WORK, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure_here(WORK[given.measure], given.folder)))
        return
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        project = Path(folder)
        (project / "model").mkdir()
        (project / "code").mkdir()
        (project / "code/handler.py").write_text(HANDLER)
        write_model(project / "model/model.bin", given.mb, given.kind)
        print(report(given.mb, given.kind, {name: measure(name, project) for name in WORK}))


if __name__ == "__main__":
    main()
