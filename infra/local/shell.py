"""What a shell needs to speak to the local cloud: the variables, and the account made ready."""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from infra.local.project import GOOGLE_PROJECT, Needs, google_installed
from infra.local.settings import Settings

REGION = "us-east-1"
GOOGLE_FOREIGN = ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "CLOUD_ML_PROJECT_ID")
TIMEOUT_S = 60.0


def variables(settings: Settings, url: str, needs: Needs, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that point AWS's SDKs at the local cloud and keep the user's configuration out."""
    region = needs.region or REGION
    foreign = needs.account_id not in ("", settings.account_id)
    return {
        "AWS_ENDPOINT_URL": url,
        # An access key of 12 digits is that account's: the role in deploy.toml says which it is.
        "AWS_ACCESS_KEY_ID": needs.account_id if foreign else "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
        "AWS_EC2_METADATA_DISABLED": "true",
        **_neutral(settings.home),
        **_overridden(url, environ),
    }


def google_variables(
    settings: Settings, url: str, needs: Needs, environ: Mapping[str, str]
) -> dict[str, str]:
    """The variables that point Google's SDKs at the local cloud; none where they are not installed for it.

    Google's Python SDK takes Vertex AI's address from no variable: a program gives it as `api_endpoint`. The
    one here is that of Google's command line. Raises OSError where the local cloud does not answer.
    """
    if not google_installed():
        return {}
    trusted, project = environ.get("REQUESTS_CA_BUNDLE", ""), needs.gcp_project or GOOGLE_PROJECT
    ready = ask(
        int(url.rpartition(":")[2]), "POST", "/_local/google", {"trusted": trusted, "project": project}
    )
    config = settings.home / "gcloud"
    config.mkdir(exist_ok=True)
    address = url.removeprefix("http://")
    return {
        "STORAGE_EMULATOR_HOST": url,
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_AIPLATFORM": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBUILD": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDSCHEDULER": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_CLOUDBILLING": f"{url}/",
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_LOGGING": f"{url}/",
        "REQUESTS_CA_BUNDLE": ready["bundle"],
        # The default credentials are those of a machine of Google's, which is asked for them at this address.
        "GCE_METADATA_HOST": address,
        "GCE_METADATA_IP": address,
        "CLOUDSDK_CONFIG": str(config),  # empty, in place of the user's
        # What of the user's would win over that machine's. Of a project set here the SDK asks the real cloud.
        **{name: "" for name in GOOGLE_FOREIGN if name in environ},
    }


def provision(port: int, needs: Needs) -> list[str]:
    """Makes what the project needs in the account unless it is there; what to tell the user."""
    if not (needs.bucket or needs.role or needs.gcs_bucket):
        return []
    answer = ask(port, "POST", "/_local/account", asdict(needs))
    if "made" not in answer:
        return [f"the local account was not made ready: {answer.get('message', answer)}"]
    return [f"made in the local account: {what}" for what in answer["made"]]


def ask(port: int, method: str, path: str, payload: dict[str, Any] | None = None) -> dict[str, Any]:
    """One of the local cloud's own questions, by hand: to import http.client takes longer than this.

    Raises OSError where it does not answer.
    """
    body = json.dumps(payload or {}).encode()
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n"
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    if not answer:
        raise ConnectionError(f"the local cloud at port {port} broke off: give the same command again")
    parsed: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return parsed


def _neutral(home: Path) -> dict[str, str]:
    """An empty profile in place of the user's, whose role, endpoints or session token would win."""
    config = home / "aws-config"
    if not config.exists():
        config.write_text("[default]\n")
    return {
        "AWS_CONFIG_FILE": str(config),
        "AWS_SHARED_CREDENTIALS_FILE": str(config),
        "AWS_PROFILE": "default",
        "AWS_SESSION_TOKEN": "",
        "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "false",
        "AWS_USE_FIPS_ENDPOINT": "false",
        "AWS_USE_DUALSTACK_ENDPOINT": "false",
    }


def _overridden(url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What is set in the user's shell and would lead elsewhere."""
    found = {name: url for name in environ if name.startswith("AWS_ENDPOINT_URL_")}
    if "AWS_DEFAULT_PROFILE" in environ:
        found["AWS_DEFAULT_PROFILE"] = "default"
    for name in ("NO_PROXY", "no_proxy"):
        if any(proxy.lower() in ("http_proxy", "https_proxy", "all_proxy") for proxy in environ):
            found[name] = ",".join(filter(None, (environ.get(name), "127.0.0.1", "localhost")))
    return found
