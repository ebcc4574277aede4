"""Who runs: our server, the limits, and the peers. A new one is a row here, a program in apps/, and a
requirements file in peers/requirements/."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from bench.serving.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
_APPS = "bench.serving.apps"
_ON_JSON = ("tiny", "encoder")
_WITHOUT_MODEL = ("tiny", "image")  # what a server without one tells: the price of a request
_ALL = ("tiny", "encoder", "image")
# Peers queue without bound. With our standard bound of 64, 128 connections would measure refusals.
_QUEUE = {"SLIPWAY_MAX_QUEUE": "1024"}
CACHED = "1000"


class Kind(Enum):
    """What a row is for: ours as it ships, with other settings or kit, with another model; and the others."""

    OURS = "ours"
    VARIANT = "variant"
    OPTIMIZED = "optimized"
    PEER = "peer"
    LIMIT = "limit"


@dataclass(frozen=True)
class Server:
    """A server to measure: `words` go to its environment's Python, with {port} and {workers} filled in.

    `predicts` is whether it has the handler's predictions, which are checked before it is measured.
    `kit` is the checkout whose runtime is run, `model` a folder instead of the workload's own: ours alone.
    """

    name: str
    kind: Kind
    environment: str
    words: tuple[str, ...]
    workloads: tuple[str, ...] = _ALL
    ping: str = "/ping"
    route: str = "/invocations"
    form: str = "instances"
    predicts: bool = True
    variables: Mapping[str, str] = field(default_factory=dict)
    kit: Path | None = None
    model: Path | None = None


def ours(kit: Path = ROOT) -> Server:
    """Our server, started as a container starts it."""
    words = ("-m", "inference.serving", "serve")
    return Server("slipway", Kind.OURS, "slipway", words, (*_ALL, "zipf"), variables=_QUEUE, kit=kit)


def standard(kit: Path = ROOT) -> list[Server]:
    """Every row, in the order in which they run."""
    own = ours(kit)
    cached = {**own.variables, "SLIPWAY_CACHE": CACHED}
    return [
        *(_echo(workers) for workers in ("1", "2")),
        Server("socket-loop", Kind.LIMIT, "slipway", ("-m", f"{_APPS}.socket_loop"), ("image",)),
        own,
        replace(own, name="slipway-cache", kind=Kind.VARIANT, workloads=("zipf",), variables=cached),
        *_peers(),
    ]


def _echo(workers: str) -> Server:
    words = ("-m", f"{_APPS}.echo", workers)
    return Server(f"echo-{workers}", Kind.LIMIT, "echo", words, _WITHOUT_MODEL, predicts=False)


def _peers() -> list[Server]:
    uvicorn = f"-m uvicorn {_APPS}.fastapi_app:app --log-level error --no-access-log"
    uvicorn += " --port {port} --workers {workers}"
    gunicorn = f"-m gunicorn {_APPS}.flask_app:app -k gthread --threads 8 --keep-alive 30"
    gunicorn += " -b 127.0.0.1:{port} -w {workers}"
    bento = f"-m bentoml serve {_APPS}.bentoml_app:Service --working-dir ."
    bento += " --port {port}"
    v1, v2 = "/v1/models/m:predict", "/v2/models/m/infer"
    return [
        _peer("fastapi", uvicorn),
        _peer("flask", gunicorn),
        replace(_peer("litserve"), variables={"LIT_SERVE_DISABLE_TELEMETRY": "1"}),
        replace(_peer("bentoml", bento), ping="/livez", variables={"BENTOML_DO_NOT_TRACK": "True"}),
        replace(_peer("kserve"), ping="/v2/health/ready", route=v1, workloads=_ON_JSON),
        replace(_peer("mlserver"), ping="/v2/health/ready", route=v2, form="v2"),
        replace(_peer("mlflow"), workloads=_ON_JSON),
        replace(_peer("ray"), variables={"RAY_USAGE_STATS_ENABLED": "0"}),
        replace(_peer("torchserve"), route="/predictions/m"),
        replace(_peer("multi-model-server"), route="/predictions/m"),
    ]


def _peer(name: str, words: str = "") -> Server:
    """A peer in the environment of its name, started by its program in apps/, or by these words."""
    program = f"-m {_APPS}.{name.replace('-', '_')}_app"
    return Server(name, Kind.PEER, name, tuple((words or program).split()))


def variant(text: str, kit: Path = ROOT) -> Server:
    """One more row of ours, from `name key=value …`; ValueError says what is wrong.

    kit and model are folders, workload the one that it answers (else all), a key in capitals is a variable.
    """
    name, *pairs = shlex.split(text)
    row = replace(ours(kit), name=f"slipway-{name}", kind=Kind.VARIANT)
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if key == "kit" and value:
            row = replace(row, kit=_folder(value))
        elif key == "model" and value:
            row = replace(row, model=_folder(value))
        elif key == "workload" and value in WORKLOADS:
            row = replace(row, workloads=(value,))
        elif key.isupper() and equals:
            row = replace(row, variables={**row.variables, key: value})
        else:
            raise ValueError(
                f"{pair}: expected kit=FOLDER, model=FOLDER, VARIABLE=value, "
                f"or workload= one of {', '.join(WORKLOADS)}"
            )
    if row.model is None:
        return row
    if len(row.workloads) > 1:
        raise ValueError(f"{text}: say which workload the model answers, such as workload=encoder")
    return replace(row, kind=Kind.OPTIMIZED)


def _folder(value: str) -> Path:
    path = Path(value).resolve()
    if not path.is_dir():
        raise ValueError(f"{path}: is not a folder")
    return path
