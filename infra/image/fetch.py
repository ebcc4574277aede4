"""Starts the runtime in an image that holds none: `python3 -c PROGRAM gs://BUCKET/FOLDER/SHA256.zip`.

This file is the program, and the zip archive holds what the image is built of: the runtime, its requirements
and the project's, and the constraints on both. It is fetched as the container's own service account, held
against the SHA-256 that is its name, and installed by pip at every start.
Sources: cloud.google.com/compute/docs/access/authenticate-workloads, .../storage/docs/json_api/v1/objects/get
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]*)/((?:[\w.-]+/)*([0-9a-f]{64})\.zip)")
TOKEN = "/computeMetadata/v1/instance/service-accounts/default/token"  # noqa: S105 - an address
TIMEOUT_S = 60
REQUIREMENTS = ("inference/serving/requirements.txt", "inference/requirements.txt")


def fetched(uri: str, environment: Mapping[str, str]) -> bytes:
    """The object's bytes. ValueError for a URI of another form, or bytes that are not those of its name."""
    match = URI.fullmatch(uri)
    if not match:
        raise ValueError(f"{uri!r}: expected gs://BUCKET/FOLDER/SHA256.zip")
    storage = environment.get("STORAGE_EMULATOR_HOST", "")
    headers = {} if storage else {"Authorization": f"Bearer {token(environment)}"}
    address = f"{storage or 'https://storage.googleapis.com'}/storage/v1/b/{match[1]}/o/"
    request = urllib.request.Request(f"{address}{quote(match[2], safe='')}?alt=media", headers=headers)  # noqa: S310
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - Google's, or the local cloud's
        body: bytes = answer.read()
    if hashlib.sha256(body).hexdigest() != match[3]:
        raise ValueError(f"{uri}: its bytes are others than its name says")
    return body


def token(environment: Mapping[str, str]) -> str:
    """An access token of the container's service account."""
    host = environment.get("GCE_METADATA_HOST") or "metadata.google.internal"
    request = urllib.request.Request(f"http://{host}{TOKEN}", headers={"Metadata-Flavor": "Google"})
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the machine's own
        return str(json.load(answer)["access_token"])


def unpacked(body: bytes) -> Path:
    """A new folder with the archive's files. ValueError for a name that leads out of it."""
    folder = Path(tempfile.mkdtemp(prefix="slipway-"))
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        for name in archive.namelist():
            if name.startswith("/") or ".." in name.split("/"):
                raise ValueError(f"{name!r} leads out of the archive's folder")
        archive.extractall(folder)
    return folder


def install(folder: Path) -> None:
    """Install what the runtime and the handler require. CalledProcessError where pip cannot."""
    files = [word for name in REQUIREMENTS for word in ("-r", str(folder / name))]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(folder / "constraints.txt"), *files], check=True)  # noqa: S603


def main(uri: str) -> None:
    """Becomes the runtime. SystemExit, with a sentence, where it cannot."""
    try:
        folder = unpacked(fetched(uri, os.environ))
        install(folder)
    except (OSError, ValueError, zipfile.BadZipFile, subprocess.CalledProcessError) as error:
        sys.exit(f"error: the runtime could not be fetched and installed: {error}")
    # The container's own folder is the image's: nothing of it is to be imported.
    os.environ["PYTHONPATH"] = str(folder)
    os.environ.setdefault("SLIPWAY_HOST", "0.0.0.0")  # noqa: S104 - a container's port
    argv = [sys.executable, "-m", "inference.serving", "serve"]
    os.execv(argv[0], argv)  # noqa: S606 - an argument list, and no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1])
