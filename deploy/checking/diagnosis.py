"""Why a container did not serve, and the one thing to change, read from what it printed. Pure.

The traceback is the handler's own: the runtime leaves its frames out. Where several things could be said, the
first that fits is: what is certain comes before what is likely.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from deploy import tracebacks
from deploy.checking.findings import Finding, error
from deploy.checking.layout import Layout
from deploy.target import Event

_FRAME = re.compile(r'File "inference/([^"]+)", line ([0-9]+)')
_SAMPLE = re.compile(r"code/samples\.jsonl line ([0-9]+)")
_DENIED = re.compile(r"(?:PermissionError|OSError): \[Errno (?:13|30|1)\] [^:]+: '([^']+)'")
_ABSENT = re.compile(r"(?:FileNotFoundError|NotADirectoryError): \[Errno \d+\] [^:]+: '([^']+)'")
_MODULE = re.compile(r"No module named '([^']+)'")
_OFFLINE = re.compile(
    r"gaierror|Network is unreachable|\[Errno (?:101|111|113|99)\]|name resolution|NameResolutionError"
    r"|ConnectTimeout|EndpointConnectionError|OfflineModeIsEnabled|couldn't connect to 'https?://"
)
_MAIN = re.compile(r"Can't get attribute '(\w+)' on <module '__main__'")
_ERROR = re.compile(r"^(?:[\w.]+\.)?\w+(?:Error|Exception|Exit|Interrupt|Warning)\b.*", re.MULTILINE)
_GPU = re.compile(
    r"no NVIDIA driver|not compiled with CUDA|CUDA-capable device|cuda\.is_available\(\) is False"
)
_WORKER = re.compile(r"worker [0-9]+ ended")
_OURS = re.compile(r"^slipway: error: (.*)", re.MULTILINE)
MODEL = "/opt/ml/model"  # what a person knows it as


@dataclass(frozen=True)
class Diagnosis:
    """The lines that say what happened, with the project's own paths, and what to change."""

    lines: tuple[str, ...]
    finding: Finding


def read(printed: Sequence[str], layout: Layout, otherwise: str) -> Diagnosis:
    """What the container's lines say; `otherwise` is what happened where they say nothing."""
    now = datetime.now(UTC)
    events = [Event(now, "container", _shown(line, layout)) for line in printed]
    lines = tracebacks.cause(events)
    text = "\n".join(lines)
    value, fix = next((told for rule in _RULES if (told := rule(text))), ("", ""))
    if not value:
        value, fix = _last(text) or otherwise, "mend what the lines above say"
    return Diagnosis(tuple(lines), error(_place(text), value, fix))


def _shown(line: str, layout: Layout) -> str:
    """The line with paths that a person knows in the place of those of this check."""
    known = {f"{layout.model}/code/": "inference/", str(layout.model): MODEL, str(layout.home): "$HOME"}
    for path, name in known.items():
        line = line.replace(path, name)
    return line


def _place(text: str) -> str:
    """The handler's line that was running last, or the sample."""
    frames = _FRAME.findall(text)
    if frames:
        return "inference/{}:{}".format(*frames[-1])
    sample = _SAMPLE.search(text)
    return f"inference/samples.jsonl:{sample[1]}" if sample else "inference/"


Told = tuple[str, str]


def _writes(text: str) -> Told | None:
    found = _DENIED.search(text)
    if not found:
        return None
    if found[1].startswith((MODEL, "inference/")):
        value = f"writes to {found[1]}: the model's folder is read-only on both clouds"
        return value, "write below tempfile.gettempdir(), or put into the model what is to be there"
    value = f"opens {found[1]}, which the container's user may not"
    return value, "write below tempfile.gettempdir(): a container does not run as root"


def _network(text: str) -> Told | None:
    if not _OFFLINE.search(text):
        return None
    fix = "put what it fetches into build/model; where it is meant, set [check] network = true in deploy.toml"
    return "reaches for the network: an endpoint may have none, and a download fails some day", fix


def _module(text: str) -> Told | None:
    found = _MODULE.search(text)
    if not found:
        return None
    package = _package(found[1].partition(".")[0])
    value = f"imports {found[1]}, which is not in the container"
    if package:
        return value, f"write {package} into inference/requirements.txt"
    return value, "put the module beside handler.py, or its package into inference/requirements.txt"


def _package(module: str) -> str:
    """What pip installs it by, with the version that is installed here; "" where it is not."""
    package = next(iter(packages_distributions().get(module, [])), "")
    try:
        return f"{package}=={version(package)}" if package else ""
    except PackageNotFoundError:
        return ""


def _absent(text: str) -> Told | None:
    found = _ABSENT.search(text)
    if not found:
        return None
    if not found[1].startswith("/"):
        if found[1].startswith("inference/"):
            return f"opens {found[1]}, which is not in the archive", "put it there, or beside the model"
        value = f"opens {found[1]!r} in the working directory, which is another in a container"
        return value, "build the path from model_dir, which load gets, or from Path(__file__).parent"
    if found[1].startswith(MODEL):
        return f"opens {found[1]}, which is not in the archive", "put it into build/model"
    fix = "put it into build/model, and build its path from model_dir"
    return f"opens {found[1]}, which is not in the container", fix


def _pickled(text: str) -> Told | None:
    found = _MAIN.search(text)
    if not found:
        return None
    value = f"the model was pickled where {found[1]} was defined in the training script itself"
    return value, f"define {found[1]} in a module beside handler.py, import it in train.py, and train again"


def _memory(text: str) -> Told | None:
    if "MemoryError" not in text and "Cannot allocate memory" not in text:
        return None
    return "runs out of memory", "load less at once, or take a larger instance type"


def _gpu(text: str) -> Told | None:
    if not _GPU.search(text):
        return None
    fix = "use the CPU where torch.cuda.is_available() is false, or say [check] run = false in deploy.toml"
    return "needs a GPU, and there is none here", fix


def _ended(text: str) -> Told | None:
    if not _WORKER.search(text):
        return None
    fix = "let no request end it (sys.exit, os._exit), look for a crash in a native library, or for memory"
    return "the handler's process ended in the middle of a request", fix


_RULES: tuple[Callable[[str], Told | None], ...] = (
    _gpu,
    _writes,
    _network,
    _module,
    _pickled,
    _absent,
    _memory,
    _ended,
)


def _last(text: str) -> str:
    """The exception, or what the runtime says of it."""
    raised = list(_ERROR.finditer(text))
    if raised:
        return raised[-1].group()
    said = _OURS.findall(text)
    return str(said[-1]) if said else ""
