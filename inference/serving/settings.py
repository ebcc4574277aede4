"""The runtime's settings, all from the environment, checked before anything else happens.

SageMaker fixes port 8080 and the routes; its toolkit's own variable names are honoured for a process that
stands in for a container. Vertex AI's AIP_* variables come first where they are set.
Sources: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements,
docs.aws.amazon.com/sagemaker/latest/dg/your-algorithms-batch-code.html
"""

from __future__ import annotations

import csv
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.serving import cache_url
from inference.serving.cache_url import RedisAddress
from inference.serving.codecs.media import CSV, JSON_LINES, PARQUET
from inference.serving.errors import StartError, shown

HELP = """\
environment (all optional):
  SAGEMAKER_BASE_DIR        the model lies in its folder model/ (default /opt/ml)
  SAGEMAKER_BIND_TO_PORT    port (8080); 0 takes a free one and prints it
  AIP_STORAGE_URI           gs://BUCKET/PREFIX: download the model from there, files or one model.tar.gz
  AIP_HTTP_PORT, AIP_HEALTH_ROUTE, AIP_PREDICT_ROUTE
                            Vertex AI's port and routes, beside /ping and /invocations
  SLIPWAY_HOST              address to listen on (127.0.0.1; an image sets 0.0.0.0)
  SLIPWAY_MAX_QUEUE         requests that wait at once; one more is answered 503 (64)
  SLIPWAY_MAX_BODY_MB       largest request body in MiB (25)
  SLIPWAY_HEADER_TIMEOUT_S  seconds for a request's headers to arrive (10)
  SLIPWAY_BODY_TIMEOUT_S    seconds for its whole body to arrive (10)
  SLIPWAY_DRAIN_S           seconds that requests in flight have after SIGTERM (25)
  SLIPWAY_MANIFEST_SHA256   digest that code/manifest.json must have
  SLIPWAY_WORKERS           processes that run the handler; 0: one for each core, where they can share the
                            loaded model, else one (0)
  SLIPWAY_MAX_BATCH_SIZE    instances of several requests that share one call of the handler; 1: none do (the
                            best one that `optimize` has found, or 64)
  SLIPWAY_MAX_DELAY_MS      most milliseconds that a request waits for others to share a call with (2)
  SLIPWAY_PREDICT_TIMEOUT_S seconds that a call may take until its worker is replaced (60)
  SLIPWAY_CACHE             answers kept in each worker, for requests that come again; 0: none (0)
  SLIPWAY_CACHE_URL         a Redis in which servers keep answers together, redis://host:6379/0 or rediss://;
                            where it is slow or gone, requests go on as without it
  SLIPWAY_CACHE_PASSWORD_ENV  the variable that holds its password once the model is loaded, so that a
                            handler's load may fetch it, where the URL does not hold it
  SLIPWAY_CACHE_TTL_S       seconds for which an answer stays there (3600)
  SLIPWAY_CACHE_VERSION     what else tells apart the answers of two deployments of one archive
in a transform job, which sets SAGEMAKER_BATCH=true (and SAGEMAKER_MAX_PAYLOAD_IN_MB, 0 for no limit, and
SAGEMAKER_MAX_CONCURRENT_TRANSFORMS, both of which raise the limits above), or with SLIPWAY_BATCH=true, which
says the same to a container of Vertex AI's batch prediction:
  SLIPWAY_BATCH_ON_ERROR    fail: a record that fails costs its request; keep: its error is its answer (fail)
  SLIPWAY_BATCH_HEADER      the header line of the CSV files: no record, and it names their columns
  SLIPWAY_BATCH_JOIN        input: answer the header line with the names of the predictions' columns
and with SLIPWAY_BATCH=true alone:
  SLIPWAY_BATCH_RECORDS     application/jsonlines, text/csv: the instances are {"record": a line of a file};
                            application/vnd.apache.parquet: they are {"b64": a whole file}. Each is answered
                            by its line, or its file's lines, as a text; with SLIPWAY_BATCH_JOIN=input by that
                            line behind the record, for here no platform joins them
  SLIPWAY_BATCH_ACCEPT      application/jsonlines or text/csv: the form of those lines (that of the records;
                            application/jsonlines for Parquet)
"""

# The most that a transform job may ask for in one request. Source: the API's MaxPayloadInMB.
_MOST_PAYLOAD_MB = 100
# A job's requests come from the platform alone, which gives one up after ten minutes by itself.
_BATCH_BODY_TIMEOUT_S = 600
_MOST_TRANSFORMS = 16
_RECORDS, _ACCEPT = "SLIPWAY_BATCH_RECORDS", "SLIPWAY_BATCH_ACCEPT"
# Instances that share a call where neither the environment nor a measurement says how many.
BATCH_SIZE = 64
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_GS_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]{1,220}[a-z0-9])(?:/(?P<prefix>.*))?", re.DOTALL)


@dataclass(frozen=True)
class Artifact:
    """Where the model is downloaded from: `uri` is gs://BUCKET/PREFIX as it was given.

    The prefix ends with "/" or is "", so that `model` never means `model-2` too.
    """

    uri: str
    bucket: str
    prefix: str


@dataclass(frozen=True)
class Batch:
    """What a transform job adds: how records are treated (scoring.Policy), how many requests come at once.

    `records` and `accept` are content types: what the instances of Vertex AI's batch prediction carry, and
    how they are answered (enveloped.Envelope). Both are "" where requests come as at an endpoint.
    """

    keep_errors: bool
    header: str
    join: bool
    transforms: int
    records: str = ""
    accept: str = ""


@dataclass(frozen=True)
class Sharing:
    """Where answers are kept together with other servers, and for how long; `version` is the deployment's."""

    address: RedisAddress
    ttl_s: int
    version: str


@dataclass(frozen=True)
class Settings:
    """Everything that the environment decides. Sizes in bytes, times in seconds; `batch` in a job alone.

    With an `artifact` the model is downloaded; without one it lies in `model_dir`. `workers` and
    `max_batch_size` are 0 where the number is left to us; `cache` counts answers.
    """

    model_dir: Path
    artifact: Artifact | None
    host: str
    port: int
    health_routes: tuple[str, ...]
    predict_routes: tuple[str, ...]
    max_queue: int
    max_body: int
    header_timeout_s: float
    body_timeout_s: float
    drain_s: float
    manifest_sha256: str | None
    workers: int
    max_batch_size: int
    max_delay_s: float
    predict_timeout_s: float
    cache: int
    batch: Batch | None
    sharing: Sharing | None = None


def read(env: Mapping[str, str]) -> Settings:
    """The settings that this environment asks for. StartError names the variable that is wrong."""
    _check_together(env)
    batch = _batch(env) if _is_job(env) else None
    return Settings(
        model_dir=Path(env.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "model",
        artifact=_artifact(env),
        host=env.get("SLIPWAY_HOST") or "127.0.0.1",
        port=_port(env),
        health_routes=_routes(env, "AIP_HEALTH_ROUTE", "/ping"),
        predict_routes=_routes(env, "AIP_PREDICT_ROUTE", "/invocations"),
        max_queue=max(
            int(_number(env, "SLIPWAY_MAX_QUEUE", 64, (1, 100_000), whole=True)),
            batch.transforms if batch else 0,
        ),
        max_body=max(
            int(_number(env, "SLIPWAY_MAX_BODY_MB", 25, (0.001, 1024)) * 2**20),
            _payload(env) if batch else 0,
        ),
        header_timeout_s=_number(env, "SLIPWAY_HEADER_TIMEOUT_S", 10, (0.1, 3600)),
        body_timeout_s=_number(
            env, "SLIPWAY_BODY_TIMEOUT_S", _BATCH_BODY_TIMEOUT_S if batch else 10, (0.1, 3600)
        ),
        drain_s=_number(env, "SLIPWAY_DRAIN_S", 25, (0, 3600)),
        manifest_sha256=_digest(env),
        workers=int(_number(env, "SLIPWAY_WORKERS", 0, (0, 1024), whole=True)),
        max_batch_size=_batch_size(env),
        max_delay_s=_number(env, "SLIPWAY_MAX_DELAY_MS", 2, (0, 10_000)) / 1000,
        predict_timeout_s=_number(env, "SLIPWAY_PREDICT_TIMEOUT_S", 60, (0.1, 86_400)),
        cache=int(_number(env, "SLIPWAY_CACHE", 0, (0, 10_000_000), whole=True)),
        batch=batch,
        sharing=_sharing(env) if batch is None else None,
    )


def _batch_size(env: Mapping[str, str]) -> int:
    name = "SLIPWAY_MAX_BATCH_SIZE"
    return int(_number(env, name, BATCH_SIZE, (1, 100_000), whole=True)) if env.get(name) else 0


def transforms() -> int:
    """How many requests at once keep this machine's cores busy, as /execution-parameters says it."""
    return min(cores(), _MOST_TRANSFORMS)


def cores() -> int:
    """How many cores this process may use: those that it may run on, or as many as its time is worth."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(count, _quota())))


def _quota() -> float:
    """How many cores' time a container is given.

    Source: docs.kernel.org/admin-guide/cgroup-v2.html, cpu.max
    """
    try:
        quota, period = _CPU_MAX.read_text().split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # there is no such file, or "max" in it
        return math.inf


def _sharing(env: Mapping[str, str]) -> Sharing | None:
    address = cache_url.read(env)
    ttl_s = int(_number(env, "SLIPWAY_CACHE_TTL_S", 3600, (1, 31_536_000), whole=True))
    return Sharing(address, ttl_s, env.get("SLIPWAY_CACHE_VERSION", "")) if address else None


def _is_job(env: Mapping[str, str]) -> bool:
    # Vertex AI tells a container of a batch prediction nothing that one of an endpoint is not told.
    return _is_true(env, "SAGEMAKER_BATCH") or _is_true(env, "SLIPWAY_BATCH")


def _is_true(env: Mapping[str, str], name: str) -> bool:
    return env.get(name, "").lower() == "true"


def _batch(env: Mapping[str, str]) -> Batch:
    join = _choice(env, "SLIPWAY_BATCH_JOIN", ("none", "input")) == "input"
    records, accept = _forms(env, join)
    return Batch(
        keep_errors=_choice(env, "SLIPWAY_BATCH_ON_ERROR", ("fail", "keep")) == "keep",
        header=_header(env),
        join=join,
        transforms=int(
            _number(env, "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS", transforms(), (0, 100_000), whole=True)
        ),
        records=records,
        accept=accept,
    )


def _check_together(env: Mapping[str, str]) -> None:
    # SageMaker posts the lines themselves, and an endpoint's callers instances of their own.
    if env.get(_RECORDS) and not _is_true(env, "SLIPWAY_BATCH"):
        raise StartError(f"{_RECORDS}: {shown(env[_RECORDS])}: expected SLIPWAY_BATCH=true beside it")
    if env.get(_ACCEPT) and not env.get(_RECORDS):
        raise StartError(f"{_ACCEPT}: {shown(env[_ACCEPT])}: expected {_RECORDS} beside it")


def _forms(env: Mapping[str, str], join: bool) -> tuple[str, str]:
    """What the instances carry and how they are answered."""
    if not env.get(_RECORDS):
        return "", ""
    records = _choice(env, _RECORDS, (JSON_LINES, CSV, PARQUET))
    others = (JSON_LINES, CSV)
    accept = _choice(env, _ACCEPT, others[::-1] if records == CSV else others)
    if join and records != accept:
        raise StartError(
            f"SLIPWAY_BATCH_JOIN: 'input': the records are {records} and the answers {accept}; "
            f"expected none, or lines of one form ({_RECORDS}, {_ACCEPT})"
        )
    return records, accept


def _payload(env: Mapping[str, str]) -> int:
    """What the platform may send in one body; where it states no limit, the most that it ever sends."""
    stated = _number(env, "SAGEMAKER_MAX_PAYLOAD_IN_MB", 6, (0, _MOST_PAYLOAD_MB), whole=True)
    # A little above: whether its MB is 10**6 or 2**20, and whether framing counts, is nowhere said.
    return int((stated or _MOST_PAYLOAD_MB) + 1) * 2**20


def _choice(env: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    """One of the choices; the first where nothing is said."""
    value = env.get(name) or choices[0]
    if value not in choices:
        raise StartError(f"{name}: {shown(value)}; expected {' or '.join(choices)}")
    return value


def _header(env: Mapping[str, str]) -> str:
    """The header line. Its cells must name the columns, each another."""
    name = "SLIPWAY_BATCH_HEADER"
    line = env.get(name, "")
    if not line:
        return ""
    try:
        cells = next(csv.reader([line], strict=True))
    except csv.Error as error:
        raise StartError(f"{name}: {shown(line)}: {error}; expected one line of RFC 4180") from None
    # With its own end it would equal no line, and be scored as a row.
    if not all(cells) or len(set(cells)) < len(cells) or {"\n", "\r"} & set(line):
        raise StartError(
            f"{name}: {shown(line)}: expected one line with a name for each column, and each another"
        )
    return line


def _port(env: Mapping[str, str]) -> int:
    name = "AIP_HTTP_PORT" if env.get("AIP_HTTP_PORT") else "SAGEMAKER_BIND_TO_PORT"
    return int(_number(env, name, 8080, (0, 65535), whole=True))


def _routes(env: Mapping[str, str], name: str, standard: str) -> tuple[str, ...]:
    route = env.get(name) or standard
    if not route.startswith("/") or not route.isascii() or not route.isprintable():
        raise StartError(f"{name}: {shown(route)} is not a path; expected something like {standard}")
    return tuple(dict.fromkeys((standard, route)))


def _digest(env: Mapping[str, str]) -> str | None:
    value = env.get("SLIPWAY_MANIFEST_SHA256") or None
    if value is not None and (len(value) != 64 or not set(value) <= set("0123456789abcdef")):
        raise StartError(f"SLIPWAY_MANIFEST_SHA256: {shown(value)} is not 64 lower-case hex digits")
    return value


def _artifact(env: Mapping[str, str]) -> Artifact | None:
    uri = env.get("AIP_STORAGE_URI", "")
    if not uri:
        return None
    found = _GS_URI.fullmatch(uri)
    if found is None or not uri.isprintable():
        raise StartError(f"AIP_STORAGE_URI: {shown(uri)}: expected a folder of a bucket, gs://bucket/model")
    prefix = (found["prefix"] or "").rstrip("/")
    return Artifact(uri, found["bucket"], f"{prefix}/" if prefix else "")


def _number(
    env: Mapping[str, str], name: str, default: float, bounds: tuple[float, float], *, whole: bool = False
) -> float:
    text = env.get(name) or str(default)
    low, high = bounds
    kind = "a whole number" if whole else "a number"
    try:
        value = int(text) if whole else float(text)
    except ValueError:
        value = float("nan")
    # A comparison with NaN is false, so "nan" is refused here too.
    if not low <= value <= high:
        raise StartError(f"{name}: {shown(text)}: expected {kind} from {low} to {high}, such as {default}")
    return value
