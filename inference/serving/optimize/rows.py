"""The table's rows: every kind is tried in a process of its own, with a limit of time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from inference.serving.optimize.answers import Difference

_KIT = Path(__file__).parents[3]
_TRIAL = "import sys; from inference.serving.optimize import trial; trial.run(sys.argv[1:])"
# What compiles or converts needs a quiet output and no cache of somebody else's rights.
_OWN = {"ORT_DISABLE_TELEMETRY": "1", "PYTHONWARNINGS": "ignore"}


@dataclass(frozen=True)
class Order:
    """What is to be tried: the model's folder, the file of instances, the kind, where it may write, the
    digest that the variant is for, and how long each look at its speed is (seconds)."""

    model_dir: str
    instances: str
    kind: str
    folder: str
    made_for: str
    seconds: float


@dataclass(frozen=True)
class Row:
    """A kind and what was found: `rates` are instances a second by batch size, of the model itself and of the
    variant; `failure` says why there is nothing.

    `size` in bytes; `start_s` until the first answer; `forks`, whether workers may share it.
    """

    kind: str
    failure: str = ""
    rates: dict[int, tuple[float, float]] | None = None
    difference: Difference | None = None
    size: int = 0
    start_s: float = 0.0
    forks: bool = True
    attribute: str = ""
    others: tuple[str, ...] = ()
    note: str = ""

    @property
    def batch_size(self) -> int:
        """The smallest batch size at which the variant does about as much as at its best."""
        assert self.rates is not None
        best = max(lighter for _, lighter in self.rates.values())
        return min(size for size, (_, lighter) in self.rates.items() if lighter >= 0.97 * best)

    @property
    def rate(self) -> float:
        """Instances a second at the best batch size."""
        assert self.rates is not None
        return max(lighter for _, lighter in self.rates.values())

    @property
    def times(self) -> float:
        """The rate, of the model's own at that one's best batch size, measured beside it."""
        assert self.rates is not None
        return self.rate / max(eager for eager, _ in self.rates.values())


@dataclass(frozen=True)
class Setting:
    """What all trials have in common: the order without its kind, and how long one may take (seconds)."""

    model_dir: Path
    instances: Path
    made_for: str
    look_s: float
    limit_s: float


def row(kind: str, setting: Setting, folder: Path, note: str = "") -> Row:
    """Make and try a kind in `folder`, which is made for it. It always returns."""
    folder.mkdir(parents=True)
    result, log = folder.with_suffix(".json"), folder.with_suffix(".log")
    order = Order(
        model_dir=str(setting.model_dir.absolute()),
        instances=str(setting.instances.absolute()),
        kind=kind,
        folder=str(folder.absolute()),
        made_for=setting.made_for,
        seconds=setting.look_s,
    )
    with log.open("wb") as said:
        status = _run([json.dumps(asdict(order)), str(result.absolute())], said.fileno(), setting.limit_s)
    if status is None:
        return Row(kind, f"took more than {setting.limit_s:g} s", note=note)
    if not result.is_file():
        ended = f"ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
        return Row(kind, f"{ended}: {_last_line(log)}", note=note)
    return replace(read(result.read_text()), note=note)


def _run(arguments: list[str], said: int, limit_s: float) -> int | None:
    """The exit status of a trial; None where it took too long. Nothing of it is left behind."""
    path = os.pathsep.join(filter(None, [str(_KIT), os.environ.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-P", "-c", _TRIAL, *arguments],
        env={**os.environ, **_OWN, "PYTHONPATH": path},
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
        start_new_session=True,  # so that a compiler's processes end with it
    )
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _last_line(log: Path) -> str:
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip()[:200] if lines else "it said nothing"


def written(row: Row) -> str:
    """A row as the text that `read` takes."""
    return json.dumps(asdict(row))


def read(text: str) -> Row:
    """The row that `written` wrote."""
    found = json.loads(text)
    rates, difference = found.pop("rates"), found.pop("difference")
    return Row(
        **found,
        rates=rates and {int(size): (eager, lighter) for size, (eager, lighter) in rates.items()},
        difference=difference and Difference(**difference),
    )
