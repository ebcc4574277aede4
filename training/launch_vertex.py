"""Runs train.py as a Vertex AI custom job: its inputs and its model by gs://, the rest as launch.py does it.

    python3 launch_vertex.py --channel train=gs://BUCKET/PREFIX -- --epochs 3

It lays out in a folder what SageMaker would lay out below /opt/ml, runs the launch.py that lies beside it on
that folder, and uploads what train.py has left: the model to AIP_MODEL_DIR, SM_OUTPUT_DATA_DIR's files to
output/ beside it, and the checkpoints to AIP_CHECKPOINT_DIR or the place of --checkpoints, from where a job
that begins again has them again.
One file, and Python's own library alone: it runs in whatever image the job has.
Source: cloud.google.com/vertex-ai/docs/training/code-requirements
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

_SAVED_EVERY_S = 60.0  # checkpoints, while the script runs
_URI = re.compile(r"gs://(?P<bucket>[a-z0-9][a-z0-9._-]+)/?(?P<prefix>.*)", re.DOTALL)
_CHANNEL = re.compile(r"(?P<name>[A-Za-z0-9._-]+)=(?P<uri>gs://.+)")
_TOKEN_PATH = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - an address
_WAITS_S = (0.5, 1, 2, 4, 8)  # before each further try of what may yet succeed
_AGAIN = (0, 408, 429, 500, 502, 503, 504)
_TIMEOUT_S = 60.0  # without a byte
_AT_ONCE = 8
_PIECE = 1024 * 1024
Result = TypeVar("Result")


class LaunchError(Exception):
    """The job cannot be run, or what it made cannot be kept: one sentence."""


class _Stopped(BaseException):
    """SIGTERM: the job is cancelled, or moved to another machine."""


class StorageError(LaunchError):
    """Cloud Storage did not answer as it should; `status` 0: not at all."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Storage:
    """Where Cloud Storage answers, and who gives the token for it ("": none is wanted)."""

    url: str
    metadata: str


@dataclass(frozen=True)
class Object:
    """An object of a bucket, and how many bytes will come of it (-1: not known)."""

    bucket: str
    name: str
    size: int = -1


@dataclass
class Checkpoints:
    """A folder and its copy in a bucket; `saved` has what was uploaded, by the file's time and size."""

    folder: Path
    uri: str
    saved: dict[Path, tuple[int, int]] = field(default_factory=dict)


def main(argv: Sequence[str] | None = None) -> int:
    """Train as the job asks; returns the exit status, which is the script's own where it fails."""
    options = _options(argv)
    signal.signal(signal.SIGTERM, _stop)
    given = os.environ.get("SAGEMAKER_BASE_DIR")
    place = Path(given or tempfile.mkdtemp(prefix="training-"))
    try:
        return _run_job(place, options, reached_by(os.environ))
    except (LaunchError, OSError, _Stopped) as error:
        print(f"training: {error}", file=sys.stderr, flush=True)
        return 128 + signal.SIGTERM if isinstance(error, _Stopped) else 1
    finally:
        if not given:
            shutil.rmtree(place, ignore_errors=True)


def _run_job(place: Path, options: argparse.Namespace, storage: Storage) -> int:
    model_uri = _model_uri(os.environ)
    lay_out(place, channels(options.channel), hyperparameters(options.arguments), storage)
    kept = options.checkpoints or os.environ.get("AIP_CHECKPOINT_DIR", "")
    checkpoints = Checkpoints(place / "checkpoints", kept)
    if checkpoints.uri:
        fetch(storage, checkpoints.uri, checkpoints.folder)
        checkpoints.saved.update({path: _seen(path) for path in _files(checkpoints.folder)})
    status = _trained(place, checkpoints, storage)
    _save(storage, checkpoints)
    if status == 0:
        upload(storage, place / "model", model_uri)
        upload(storage, place / "output" / "data", f"{model_uri.rstrip('/').rpartition('/')[0]}/output/")
        print(f"training: {model_uri} has the model", flush=True)
    return status


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("launch_vertex.py", description="Train as a Vertex AI custom job.")
    told = "a folder of data and the name by which train.py knows it"
    parser.add_argument("--channel", action="append", default=[], metavar="NAME=gs://…", help=told)
    parser.add_argument("--checkpoints", default="", metavar="gs://…", help="in AIP_CHECKPOINT_DIR's place")
    parser.add_argument("arguments", nargs="*", metavar="-- --name value", help="hyperparameters")
    return parser.parse_args(argv)


def channels(given: Sequence[str]) -> dict[str, str]:
    """`NAME=gs://…` of each channel as {name: uri}. LaunchError for another form, and for a name twice."""
    found: dict[str, str] = {}
    for text in given:
        channel = _CHANNEL.fullmatch(text)
        if channel is None or channel["name"] in (".", "..", "code"):
            raise LaunchError(f"--channel {text!r}: expected NAME=gs://BUCKET/PREFIX, and a NAME but code")
        if channel["name"] in found:
            raise LaunchError(f"--channel {text!r}: the name is there already; expected each name once")
        found[channel["name"]] = channel["uri"]
    return found


def hyperparameters(arguments: Sequence[str]) -> dict[str, str]:
    """`--name value` and `--name=value` as {name: text}. LaunchError for anything else."""
    found: dict[str, str] = {}
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if not name.startswith("--") or len(name) == 2:
            raise LaunchError(f"hyperparameter {word!r} has no name; expected --name value")
        text = value if equals else next(words, None)
        if text is None:
            raise LaunchError(f"hyperparameter {word!r} has no value; expected --name value")
        found[name[2:]] = text
    return found


def _model_uri(environ: Mapping[str, str]) -> str:
    """Where the model goes. LaunchError where the job has no such place, or more machines than one."""
    uri = environ.get("AIP_MODEL_DIR", "")
    if not _URI.fullmatch(uri):
        raise LaunchError(f"AIP_MODEL_DIR: {uri!r}: expected gs://…; give the job a base output directory")
    cluster = json.loads(environ.get("CLUSTER_SPEC") or "{}").get("cluster", {})
    if (machines := sum(len(pool) for pool in cluster.values())) > 1:
        raise LaunchError(f"CLUSTER_SPEC: {machines} machines; expected one, for train.py runs on one")
    return uri


def lay_out(place: Path, data: Mapping[str, str], given: Mapping[str, str], storage: Storage) -> None:
    """Make the folder as SageMaker would: the code, each channel's data, and the job's configuration."""
    source, code = Path(__file__).resolve().parent, place / "input" / "data" / "code"
    if source != code:
        shutil.copytree(source, code, ignore=shutil.ignore_patterns("__pycache__"), dirs_exist_ok=True)
    for name, uri in data.items():
        if not fetch(storage, uri, place / "input" / "data" / name):
            raise LaunchError(f"--channel {name}={uri}: no objects are there; expected the channel's data")
    config = place / "input" / "config"
    config.mkdir(parents=True, exist_ok=True)
    # The machine's name is launch.py's own.
    (config / "hyperparameters.json").write_text(json.dumps(given), "utf-8")
    (config / "inputdataconfig.json").write_text(json.dumps(dict.fromkeys(data, {})), "utf-8")


# --- The run ---


def _stop(number: int, frame: FrameType | None) -> None:
    raise _Stopped("stopped before its end; the model is not kept")


def _trained(place: Path, checkpoints: Checkpoints, storage: Storage) -> int:
    """launch.py's exit status; it has the job's time to save and to say why it failed."""
    launcher = place / "input" / "data" / "code" / "launch.py"
    if not launcher.is_file():
        raise LaunchError(f"{launcher.name} does not lie beside {Path(__file__).name}; expected both")
    process = subprocess.Popen(
        [sys.executable, "-u", str(launcher)], env={**os.environ, "SAGEMAKER_BASE_DIR": str(place)}
    )
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return process.wait(_SAVED_EVERY_S)
            with suppress(LaunchError, OSError):  # the next time, or at the end, when it is told
                _save(storage, checkpoints)
    except _Stopped:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        process.terminate()
        return process.wait() or 128 + signal.SIGTERM


def _save(storage: Storage, checkpoints: Checkpoints) -> None:
    """Upload the checkpoints that are new or changed."""
    if not checkpoints.uri or not checkpoints.folder.is_dir():
        return
    for path in _files(checkpoints.folder):
        if checkpoints.saved.get(path) != (seen := _seen(path)):
            _upload(storage, path, _below(checkpoints.uri, path.relative_to(checkpoints.folder)))
            checkpoints.saved[path] = seen


def _seen(path: Path) -> tuple[int, int]:
    return path.stat().st_mtime_ns, path.stat().st_size


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# --- Cloud Storage ---


def reached_by(environ: Mapping[str, str]) -> Storage:
    """The storage that this environment is meant to use, by the names that Google's own libraries know."""
    if local := environ.get("STORAGE_EMULATOR_HOST", ""):
        return Storage(_address(local), "")
    metadata = environ.get("GCE_METADATA_HOST") or "metadata.google.internal"
    return Storage("https://storage.googleapis.com", _address(metadata))


def fetch(storage: Storage, uri: str, folder: Path) -> int:
    """Download the object of that name, or all that lies below it, into the folder; how many files it is.

    LaunchError for a name that would lead out of the folder, and where the storage refuses.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = {folder / _inside(one.name, uri): one for one in _objects(storage, uri)}
    for path in wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
    _side_by_side(lambda item: _download(storage, item[1], item[0]), list(wanted.items()))
    return len(wanted)


def upload(storage: Storage, folder: Path, uri: str) -> None:
    """Upload every file of the folder under its name there. LaunchError where the storage refuses."""
    targets = [(path, _below(uri, path.relative_to(folder))) for path in _files(folder)]
    _side_by_side(lambda item: _upload(storage, item[0], item[1]), targets)


def _side_by_side(do: Callable[[tuple[Path, Object]], None], items: list[tuple[Path, Object]]) -> None:
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        try:
            list(threads.map(do, items))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def _split(uri: str) -> tuple[str, str]:
    found = _URI.fullmatch(uri)
    if found is None:
        raise LaunchError(f"{uri!r} is no address; expected gs://BUCKET/PREFIX")
    return found["bucket"], found["prefix"].rstrip("/")


def _below(uri: str, path: Path) -> Object:
    bucket, prefix = _split(uri)
    return Object(bucket, f"{prefix}/{path.as_posix()}".lstrip("/"))


def _inside(name: str, uri: str) -> str:
    """The object's place in the folder. The bucket's names are somebody else's, so they are checked."""
    _, prefix = _split(uri)
    rest = name.removeprefix(prefix).removeprefix("/") if name != prefix else name.rpartition("/")[2]
    if not rest.isprintable() or not set(rest.split("/")).isdisjoint({"", ".", ".."}):
        raise LaunchError(f"{uri}: {name!r} is no path below it; expected names without '..' and '//'")
    return rest


def _objects(storage: Storage, uri: str) -> Iterator[Object]:
    bucket, prefix = _split(uri)
    query = {"prefix": prefix}
    while True:
        url = f"{storage.url}/storage/v1/b/{bucket}/o?{urlencode(query)}"
        page = _tried(lambda url=url: _json(storage, url))  # type: ignore[misc]  # the page's own url
        for item in page.get("items", ()):
            name = item["name"]
            # `data` is that object, or the folder of that name, but never `data-2`.
            if (name == prefix or not prefix or name.startswith(f"{prefix}/")) and not name.endswith("/"):
                # What is unpacked on the way is of another size.
                yield Object(bucket, name, -1 if item.get("contentEncoding") else int(item["size"]))
        if not page.get("nextPageToken"):
            return
        query["pageToken"] = page["nextPageToken"]


def _download(storage: Storage, wanted: Object, path: Path) -> None:
    url = f"{storage.url}/storage/v1/b/{wanted.bucket}/o/{quote(wanted.name, safe='')}?alt=media"

    def downloaded() -> None:
        with _asked(storage, _request(url)) as answer, path.open("wb") as file:
            while piece := _read(answer, _PIECE):
                file.write(piece)
        if wanted.size not in (-1, path.stat().st_size):
            raise StorageError(f"gs://{wanted.bucket}/{wanted.name} broke off; expected {wanted.size} bytes")

    _tried(downloaded)


def _upload(storage: Storage, path: Path, target: Object) -> None:
    query = urlencode({"uploadType": "media", "name": target.name})
    url = f"{storage.url}/upload/storage/v1/b/{target.bucket}/o?{query}"

    def uploaded() -> None:
        with path.open("rb") as file:
            length = str(os.fstat(file.fileno()).st_size)
            headers = {"Content-Length": length, "Content-Type": "application/octet-stream"}
            with _asked(storage, _request(url, headers, file)) as answer:
                _read(answer, -1)

    _tried(uploaded)


def _tried(call: Callable[[], Result]) -> Result:
    for wait_s in _WAITS_S:
        try:
            return call()
        except StorageError as error:
            if error.status not in _AGAIN:
                raise
            time.sleep(wait_s)
    return call()


def _json(storage: Storage, url: str) -> Any:
    with _asked(storage, _request(url)) as answer:
        return json.loads(_read(answer, -1))


def _asked(storage: Storage, request: urllib.request.Request) -> http.client.HTTPResponse:
    if storage.metadata:
        wanted = _request(storage.metadata + _TOKEN_PATH, {"Metadata-Flavor": "Google"})
        with _opened(wanted) as answer:
            request.add_header("Authorization", f"Bearer {json.loads(_read(answer, -1))['access_token']}")
    return _opened(request)


def _request(url: str, headers: Mapping[str, str] | None = None, body: Any = None) -> urllib.request.Request:
    return urllib.request.Request(url, body, dict(headers or {}))  # noqa: S310 - http(s), by _address


def _opened(request: urllib.request.Request) -> http.client.HTTPResponse:
    try:
        answer: http.client.HTTPResponse = _OPENER.open(request, timeout=_TIMEOUT_S)
        return answer
    except urllib.error.HTTPError as error:
        with error:
            said = error.read(500).decode("utf-8", "replace").strip()
        where = request.full_url.partition("?")[0]
        raise StorageError(f"{where}: {error.code} {error.reason}: {said}", error.code) from None
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"{request.host} cannot be reached: {error}") from None


def _read(answer: http.client.HTTPResponse, size: int) -> bytes:
    try:
        return answer.read(size if size >= 0 else None)
    except (OSError, http.client.HTTPException) as error:
        raise StorageError(f"the answer broke off: {error}") from None


def _address(host: str) -> str:
    return (host if "://" in host else f"http://{host}").rstrip("/")


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """The API sends nobody elsewhere, and the token must not go along."""

    def redirect_request(self, *_: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), _NoRedirects)


if __name__ == "__main__":
    sys.exit(main())
