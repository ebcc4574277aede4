"""Runs train.py in the environment that SageMaker's script mode gives a training script, wherever that is.

The script sees SM_* variables and its hyperparameters as `--name value`, so the same file runs unchanged here
and as a managed job. Here (`python training/launch.py --project DIR -- --epochs 3`) it writes into a folder
of this run alone, which takes the place of build/model only when the script has succeeded.

In a job's container, `python3 /opt/ml/input/data/code/launch.py`, it takes all that from the job's own files,
installs the script's requirements, and says in output/failure why it failed.
Source: github.com/aws/sagemaker-training-toolkit, ENVIRONMENT_VARIABLES.md
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from types import FrameType
from typing import IO, Any

_HOST = "algo-1"  # what SageMaker calls the first machine of a job
_STOP_GRACE_S = 30.0
# A job's container is killed 120 s after its SIGTERM; the rest is for what follows the script.
# Source: API_StoppingCondition
_JOB_GRACE_S = 115.0
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_NO_DATA = ("code", "sm_drivers")  # channels that carry the job's own program
_HEARD_BYTES = 64 * 1024  # of a command's output, for the reason of its failure
_REASON_BYTES = 960  # so that SageMaker's 1,024 hold it with what it puts around it
_REASON_LINES = 12
_PIP = (
    sys.executable,
    "-m",
    "pip",
    "install",
    "--disable-pip-version-check",
    "--quiet",
    "--root-user-action=ignore",
)
_NAME = re.compile(r"[A-Za-z0-9._-]+")


class LaunchError(Exception):
    """The run left no new model: why, and the exit status that says so."""

    def __init__(self, message: str, status: int = 1) -> None:
        super().__init__(message)
        self.status = status


class Stopped(BaseException):
    """Somebody asked this process to stop: the signal's number, and the script's own exit status after it."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number
        self.status: int | None = None


@dataclass(frozen=True)
class Contract:
    """What a training script is told; `told` is what one place alone says, in variables that come last."""

    script: Path
    channels: dict[str, Path]
    model_dir: Path
    output_dir: Path
    arguments: tuple[str, ...]
    hyperparameters: dict[str, Any]
    told: Mapping[str, str] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Train; returns the exit status, which is the script's own where it fails."""
    options = _options(argv)
    for number in _STOP_SIGNALS:
        signal.signal(number, _stop)
    place = job_place(os.environ)
    if options.project is None and place is not None:
        return train_job(place, Path(__file__).resolve().with_name("train.py"))
    try:
        print(f"training: {train(options.project or Path(), options.arguments)} is the new model")
        return 0
    except (LaunchError, OSError) as error:
        print(f"training: {error}", file=sys.stderr)
        return getattr(error, "status", 1)
    except Stopped as stopped:
        print("training: stopped before its end; the last model is as it was", file=sys.stderr)
        return 128 + stopped.number


# --- On this machine ---


def train(project: Path, arguments: Sequence[str]) -> Path:
    """Run the project's script and put what it leaves in the place of its last model; returns that place.

    LaunchError, with the last model untouched, where there is no script, it fails, or it leaves nothing.
    """
    script = _existing(project.resolve() / "training" / "train.py")
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
            hyperparameters=hyperparameters(arguments),
        )
        status = _run(contract, _command(contract), _STOP_GRACE_S)
        if failed := _failed(contract, status):
            raise LaunchError(f"{failed}; the last model is as it was", _exit_status(status) or 1)
        _replace(build / "model", contract.model_dir, Path(run, "replaced"))
    return project / "build" / "model"


def channels(data: Path) -> dict[str, Path]:
    """The folders of `data` by name, as SageMaker mounts one folder for each input channel."""
    folders = sorted(data.iterdir()) if data.is_dir() else []
    return {folder.name: folder for folder in folders if folder.is_dir() and not folder.name.startswith(".")}


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


def _replace(place: Path, new: Path, aside: Path) -> None:
    """Both renames or neither: a signal waits until they are done."""
    waiting = signal.pthread_sigmask(signal.SIG_BLOCK, _STOP_SIGNALS)
    try:
        if place.exists():
            place.rename(aside)
        new.rename(place)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, waiting)


# --- In a job's container ---


def job_place(environ: Mapping[str, str]) -> Path | None:
    """The folder in which a SageMaker training job has its files, None where this is no such job."""
    place = Path(environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
    return place if (place / "input" / "config").is_dir() else None


def train_job(place: Path, script: Path) -> int:
    """Run the script as the job at that place is described; returns the exit status.

    A failure is told in output/failure, unless the script has written its own. After SIGTERM the script has
    the platform's time to save; the status is its own, and what it saved is the platform's to upload.
    """
    failure = place / "output" / "failure"
    try:
        contract = sagemaker_contract(place, _existing(script))
        _install(contract)
        _run_job(contract)
    except (LaunchError, OSError, ValueError) as error:
        print(f"training: {str(error).splitlines()[0]}", file=sys.stderr, flush=True)
        _tell(failure, str(error))
        return getattr(error, "status", 1)
    except Stopped as stopped:
        print("training: stopped before its end; what it has saved is kept", file=sys.stderr, flush=True)
        return 128 + stopped.number if stopped.status is None else _exit_status(stopped.status)
    return 0


def sagemaker_contract(place: Path, script: Path) -> Contract:
    """What SageMaker's files below `place` (/opt/ml) say, with the folders made that the script writes to."""
    config = place / "input" / "config"
    given = _json(config / "hyperparameters.json")
    resources = _json(config / "resourceconfig.json")
    inputs = _json(config / "inputdataconfig.json")
    return Contract(
        script=script,
        channels={name: place / "input" / "data" / name for name in sorted(inputs) if name not in _NO_DATA},
        model_dir=_made(place / "model"),
        output_dir=_made(place / "output" / "data"),
        arguments=tuple(word for name, value in given.items() for word in _argument(name, value)),
        hyperparameters={name: _plain(value) for name, value in given.items()},
        told=_told(place, resources),
    )


def _argument(name: str, value: str) -> tuple[str, str]:
    """`--name value`: the value as it was given, but for a text that the SDK put into JSON's quotes.

    So a number, a list or `true` reaches the script as that text; a script reads a boolean by itself.
    """
    plain = _plain(value)
    return f"--{name}", plain if isinstance(plain, str) else value


def _told(place: Path, resources: Mapping[str, Any]) -> dict[str, str]:
    return {
        "SM_INPUT_DIR": str(place / "input"),
        "SM_INPUT_DATA_DIR": str(place / "input" / "data"),
        "SM_INPUT_CONFIG_DIR": str(place / "input" / "config"),
        "SM_OUTPUT_DIR": str(place / "output"),
        "SM_CHECKPOINT_DIR": str(_made(place / "checkpoints")),
        "SM_CURRENT_HOST": resources.get("current_host", _HOST),
        "SM_HOSTS": json.dumps(resources.get("hosts", [_HOST])),
        "SM_CURRENT_INSTANCE_TYPE": resources.get("current_instance_type", ""),
        "SM_NETWORK_INTERFACE_NAME": resources.get("network_interface_name", ""),
    }


def _install(contract: Contract) -> None:
    """Install the script's requirements. pip takes seconds: it is asked only where some may lack."""
    wanted = contract.script.with_name("requirements.txt")
    limits = contract.script.with_name("constraints.txt")
    if not wanted.is_file() or (
        all(map(_is_met, wanted.read_text("utf-8").splitlines())) and not limits.is_file()
    ):
        return
    lists = ["-r", str(wanted), *(["-c", str(limits)] if limits.is_file() else [])]
    heard = bytearray()
    if status := _run(contract, [*_PIP, *lists], _JOB_GRACE_S, heard):
        told = f"{wanted.name} could not be installed, pip ended with exit status {_exit_status(status)}"
        raise LaunchError(_reason(told, heard.decode("utf-8", "replace")), _exit_status(status))


def _is_met(line: str) -> bool:
    """Whether a line of requirements asks for nothing, or for any version of a package that is there."""
    name = line.partition("#")[0].strip()
    return not name or (bool(_NAME.fullmatch(name)) and any(metadata.distributions(name=name)))


def _run_job(contract: Contract) -> None:
    heard = bytearray()
    status = _run(contract, _command(contract), _JOB_GRACE_S, heard)
    if failed := _failed(contract, status):
        told = _reason(failed, heard.decode("utf-8", "replace")) if status else failed
        raise LaunchError(told, _exit_status(status) or 1)


def _reason(sentence: str, output: str) -> str:
    """The sentence with the exception's own line, and below it as much of the traceback's end as has room."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback (most recent call")]
    block = lines[starts[-1] :] if starts else lines[-_REASON_LINES:]
    raised = [line for line in block[1:] if not line.startswith(" ")] if starts else block[-1:]
    first = f"{sentence}: {raised[0]}" if raised else sentence
    room = _REASON_BYTES - len(first.encode()) - 1
    rest = "\n".join(block).encode()[-room:] if room > 0 else b""
    whole = f"{first}\n{rest.decode('utf-8', 'ignore')}".encode()
    return whole[:_REASON_BYTES].decode("utf-8", "ignore").rstrip()


def _tell(failure: Path, reason: str) -> None:
    with suppress(OSError):  # a full disk: the log has it
        failure.parent.mkdir(parents=True, exist_ok=True)
        if not (failure.is_file() and failure.stat().st_size):
            failure.write_text(reason)


def _json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    return found


# --- The script's run, in either place ---


def environment(contract: Contract) -> dict[str, str]:
    """The variables of script mode, for a script on one machine."""
    variables = {
        "SM_MODEL_DIR": str(contract.model_dir),
        "SM_OUTPUT_DATA_DIR": str(contract.output_dir),
        "SM_CHANNELS": json.dumps(sorted(contract.channels)),
        "SM_HPS": json.dumps(contract.hyperparameters),
        "SM_NUM_CPUS": str(os.cpu_count() or 1),
        "SM_NUM_GPUS": str(len(list(Path("/dev").glob("nvidia[0-9]*")))),
        "SM_CURRENT_HOST": _HOST,
        "SM_HOSTS": json.dumps([_HOST]),
    }
    for name, folder in contract.channels.items():
        variables[f"SM_CHANNEL_{name.upper()}"] = str(folder)
    return {**variables, **contract.told}


def _plain(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    what = "Train PROJECT and keep the model in PROJECT/build/model."
    parser = argparse.ArgumentParser("python -m training.launch", description=what)
    parser.add_argument("--project", type=Path, help="folder with training/train.py (here)")
    parser.add_argument("arguments", nargs="*", metavar="-- --name value", help="hyperparameters")
    return parser.parse_args(argv)


def _existing(script: Path) -> Path:
    if not script.is_file():
        raise LaunchError(f"{script} is not there; expected the project's training script")
    return script


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _command(contract: Contract) -> list[str]:
    return [sys.executable, "-u", str(contract.script), *contract.arguments]


def _run(contract: Contract, command: Sequence[str], grace_s: float, heard: bytearray | None = None) -> int:
    """The command's exit status. It ends with this process: asked first, as a managed job is, then made to.

    With `heard`, its output goes through here and the end of it is kept there. Raises Stopped.
    """
    process = subprocess.Popen(
        command,
        cwd=contract.script.parent,
        env={**os.environ, **environment(contract)},
        # A group of its own, so that Ctrl-C comes once, from here; such a group cannot read the terminal.
        process_group=0,
        stdin=subprocess.DEVNULL,
        stdout=None if heard is None else subprocess.PIPE,
        stderr=None if heard is None else subprocess.STDOUT,
    )
    passing = threading.Thread(target=_pass_on, args=(process.stdout, heard), daemon=True)
    passing.start()
    try:
        return process.wait()
    except Stopped as stopped:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            stopped.status = process.wait(grace_s)
        raise
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        passing.join(2.0)  # every writer is dead, but for one that left the group


def _pass_on(pipe: IO[bytes] | None, heard: bytearray | None) -> None:
    """Pass the output on as it comes, in pieces and not in lines: a progress bar has none."""
    while pipe and heard is not None and (piece := os.read(pipe.fileno(), 65536)):
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
        heard += piece
        del heard[:-_HEARD_BYTES]


def _stop(number: int, frame: FrameType | None) -> None:
    raise Stopped(number)


def _failed(contract: Contract, status: int) -> str:
    """What is wrong with that end of the script, "" if it has succeeded and left something."""
    if status < 0:
        return f"{contract.script} was ended by {signal.Signals(-status).name}"
    if status:
        return f"{contract.script} failed with exit status {status}"
    if not any(path.is_file() for path in contract.model_dir.rglob("*")):
        return f"{contract.script} left no file; expected the model in the folder SM_MODEL_DIR names"
    return ""


def _exit_status(status: int) -> int:
    """As a shell says it: 128 and the signal's number for a process that a signal ended."""
    return 128 - status if status < 0 else status


if __name__ == "__main__":
    sys.exit(main())
