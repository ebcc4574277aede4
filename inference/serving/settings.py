"""The runtime's settings, all from the environment, checked before anything else happens.

SageMaker fixes port 8080 and the routes; its toolkit's own variable names are honoured for a process that
stands in for a container. Vertex AI's AIP_* variables come first where they are set.
Source: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from inference.serving.errors import StartError, shown

HELP = """\
environment (all optional):
  SAGEMAKER_BASE_DIR        the model lies in its folder model/ (default /opt/ml)
  SAGEMAKER_BIND_TO_PORT    port (8080); 0 takes a free one and prints it
  AIP_HTTP_PORT, AIP_HEALTH_ROUTE, AIP_PREDICT_ROUTE
                            Vertex AI's port and routes, beside /ping and /invocations
  SLIPWAY_HOST              address to listen on (127.0.0.1; an image sets 0.0.0.0)
  SLIPWAY_MAX_QUEUE         requests that wait at once; one more is answered 503 (64)
  SLIPWAY_MAX_BODY_MB       largest request body in MiB (25)
  SLIPWAY_HEADER_TIMEOUT_S  seconds for a request's headers to arrive (10)
  SLIPWAY_BODY_TIMEOUT_S    seconds for its whole body to arrive (10)
  SLIPWAY_DRAIN_S           seconds that requests in flight have after SIGTERM (25)
  SLIPWAY_MANIFEST_SHA256   digest that code/manifest.json must have
"""


@dataclass(frozen=True)
class Settings:
    """Everything that the environment decides. Sizes in bytes, times in seconds."""

    model_dir: Path
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


def read(env: Mapping[str, str]) -> Settings:
    """The settings that this environment asks for. StartError names the variable that is wrong."""
    _refuse_artifact_download(env)
    return Settings(
        model_dir=Path(env.get("SAGEMAKER_BASE_DIR") or "/opt/ml") / "model",
        host=env.get("SLIPWAY_HOST") or "127.0.0.1",
        port=_port(env),
        health_routes=_routes(env, "AIP_HEALTH_ROUTE", "/ping"),
        predict_routes=_routes(env, "AIP_PREDICT_ROUTE", "/invocations"),
        max_queue=int(_number(env, "SLIPWAY_MAX_QUEUE", 64, (1, 100_000), whole=True)),
        max_body=int(_number(env, "SLIPWAY_MAX_BODY_MB", 25, (0.001, 1024)) * 2**20),
        header_timeout_s=_number(env, "SLIPWAY_HEADER_TIMEOUT_S", 10, (0.1, 3600)),
        body_timeout_s=_number(env, "SLIPWAY_BODY_TIMEOUT_S", 10, (0.1, 3600)),
        drain_s=_number(env, "SLIPWAY_DRAIN_S", 25, (0, 3600)),
        manifest_sha256=_digest(env),
    )


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


def _refuse_artifact_download(env: Mapping[str, str]) -> None:
    uri = env.get("AIP_STORAGE_URI", "")
    if uri:
        raise StartError(
            f"AIP_STORAGE_URI: {shown(uri)}: this runtime does not download model artifacts yet; "
            "put the model under $SAGEMAKER_BASE_DIR/model and leave AIP_STORAGE_URI empty"
        )


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
