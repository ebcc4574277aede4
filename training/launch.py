"""Runs PROJECT/training/train.py in the environment that SageMaker's script mode gives a training script.

The script sees SM_* variables and its hyperparameters as `--name value`, so the same file runs unchanged as a
managed job. It writes into a folder of this run alone, which takes the place of build/model only when the
script has succeeded: whatever happens to a run, the last good model stays.

    python training/launch.py --project DIR -- --epochs 3
Source: github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

_HOST = "algo-1"  # what SageMaker calls the first machine of a job
_STOP_GRACE_S = 30.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LaunchError(Exception):
    """The run left no new model: why, in one line, and the exit status that says so."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Stopped(BaseException):
    """Somebody asked this process to stop; its number is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


@dataclass(frozen=True)
class Contract:
    """What a training script is told: the folders it reads and writes, and its arguments."""

    script: Path
    channels: dict[str, Path]
    model_dir: Path
    output_dir: Path
    arguments: tuple[str, ...]


def main(argv: Sequence[str] | None = None) -> int:
    """Train PROJECT; returns the exit status, which is the script's own where it fails."""
    options = _options(argv)
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    try:
        print(f"training: {train(options.project, options.arguments)} is the new model")
        return 0
    except (LaunchError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return getattr(error, "status", 1)
    except Stopped as stopped:
        print("training: stopped before its end; the last model is as it was", file=sys.stderr)
        return 128 + stopped.number


def train(project: Path, arguments: Sequence[str]) -> Path:
    """Run the project's script and put what it leaves in the place of its last model; returns that place.

    LaunchError, with the last model untouched, where there is no script, it fails, or it leaves nothing.
    """
    script = project.resolve() / "training" / "train.py"
    if not script.is_file():
        raise LaunchError(f"{script} is not there; expected the project's training script")
    build = project.resolve() / "build"
    build.mkdir(parents=True, exist_ok=True)
    # Beside the model, so that it moves by rename alone.
    with tempfile.TemporaryDirectory(prefix=".training-", dir=build) as run:
        contract = Contract(
            script=script,
            channels=channels(project.resolve() / "data"),
            model_dir=_made(Path(run, "model")),
            output_dir=_made(Path(run, "output")),
            arguments=tuple(arguments),
        )
        _check(contract, _run(contract))
        _replace(build / "model", contract.model_dir, Path(run, "replaced"))
    return project / "build" / "model"


def channels(data: Path) -> dict[str, Path]:
    """The folders of `data` by name, as SageMaker mounts one folder for each input channel."""
    folders = sorted(data.iterdir()) if data.is_dir() else []
    return {folder.name: folder for folder in folders if folder.is_dir() and not folder.name.startswith(".")}


def environment(contract: Contract) -> dict[str, str]:
    """The variables of script mode, for a script on one machine."""
    variables = {
        "SM_MODEL_DIR": str(contract.model_dir),
        "SM_OUTPUT_DATA_DIR": str(contract.output_dir),
        "SM_CHANNELS": json.dumps(sorted(contract.channels)),
        "SM_HPS": json.dumps(hyperparameters(contract.arguments)),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": str(len(list(Path("/dev").glob("nvidia[0-9]*")))),
        "SM_CURRENT_HOST": _HOST,
        "SM_HOSTS": json.dumps([_HOST]),
    }
    for name, folder in contract.channels.items():
        variables[f"SM_CHANNEL_{name.upper()}"] = str(folder)
    return variables


def hyperparameters(arguments: Sequence[str]) -> dict[str, Any]:
    """`--name value` and `--name=value` as {name: value}, numbers as numbers; a bare `--name` is true.

    LaunchError for a value that no name precedes.
    """
    found: dict[str, Any] = {}
    name = ""
    for argument in arguments:
        if argument.startswith("--"):
            name, _, value = argument[2:].partition("=")
            found[name] = _plain(value) if value else True
        elif name and found[name] is True:
            found[name] = _plain(argument)
        else:
            raise LaunchError(f"hyperparameter {argument!r} has no name; expected --name value")
    return found


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m training.launch",
        description="Train PROJECT and keep the model in PROJECT/build/model.",
    )
    parser.add_argument("--project", type=Path, default=Path(), help="folder with training/train.py (here)")
    parser.add_argument(
        "arguments", nargs="*", metavar="-- --name value", help="the script's hyperparameters"
    )
    return parser.parse_args(argv)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _run(contract: Contract) -> int:
    """The script's exit status. It ends with this process: asked first, as a managed job is, then made to."""
    process = subprocess.Popen(
        [sys.executable, "-u", str(contract.script), *contract.arguments],
        cwd=contract.script.parent,
        env={**os.environ, **environment(contract)},
        # A group of its own, so that Ctrl-C comes once, from here; such a group cannot read the terminal.
        process_group=0,
        stdin=subprocess.DEVNULL,
    )
    try:
        return process.wait()
    except Stopped:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_GRACE_S)
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _check(contract: Contract, status: int) -> None:
    if status < 0:
        name = signal.Signals(-status).name
        raise LaunchError(f"{contract.script} was ended by {name}; the last model is as it was", 128 - status)
    if status:
        raise LaunchError(
            f"{contract.script} failed with exit status {status}; the last model is as it was", status
        )
    if not any(path.is_file() for path in contract.model_dir.rglob("*")):
        raise LaunchError(
            f"{contract.script} left no file; expected the model in the folder SM_MODEL_DIR names"
        )


def _replace(place: Path, new: Path, aside: Path) -> None:
    """Both renames or neither: a signal waits until they are done."""
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        if place.exists():
            place.rename(aside)
        new.rename(place)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)


if __name__ == "__main__":
    sys.exit(main())
