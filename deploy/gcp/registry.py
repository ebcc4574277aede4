"""The kit's own image in Artifact Registry: whether it is there, how it is made, what a machine can run.

Its repository has immutable tags, and a tag is the digest of all that went in: what is there is what is
wanted. The API is asked over plain REST: its SDK would be another one to install, for two calls.
Source: cloud.google.com/artifact-registry/docs/reference/rest
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Any

import requests
from google.api_core import exceptions

from deploy import image
from deploy.config import Config
from deploy.gcp import clients, imagebuilds
from deploy.gcp.clients import told
from deploy.image import machines, making, manifests
from deploy.image.builders import BuildError, Login
from deploy.image.making import Registry
from deploy.plan import Resource
from deploy.target import CloudError, Say

KIND = image.KIND
USUAL = "https://artifactregistry.googleapis.com"
TIMEOUT_S = 60.0
_OURS = re.compile(
    r"(?P<location>[a-z0-9-]+)-docker\.pkg\.dev/(?P<project>[^/:]+)/(?P<repository>[^/:]+)/"
    r"(?P<package>[^:@]+)(:(?P<tag>[^@]+))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


def observed(config: Config) -> list[Resource]:
    """The kit's image, where it is what is configured and is there."""
    if not image.is_own(config, "gcp") or not _is_there(config):
        return []
    name = config.gcp.image.partition("/")[2].partition("/")[2]
    return [Resource(KIND, name, shared=True)]


def make(config: Config, resource: Resource, say: Say) -> None:
    """Build it, here or by Cloud Build, and push it. Raises BuildError where that fails."""
    there = Registry(config.gcp.image, _login(config), partial(_is_there, config), imagebuilds.build)
    making.make(config, resource.params["recipe"], there, say)


def _is_there(config: Config) -> bool:
    """Whether the repository has the configured tag."""
    named = _OURS.fullmatch(config.gcp.image)
    if not named or not named["tag"]:
        return False
    package = named["package"].replace("/", "%2F")
    return _asked(f"{_repository(named)}/packages/{package}/tags/{named['tag']}") is not None


def _login(config: Config) -> Login:
    """Where the repository is, as the API says it, and who may push: whoever asks, by a token of an hour.

    Source: cloud.google.com/artifact-registry/docs/docker/authentication
    """
    named = _OURS.fullmatch(config.gcp.image)
    found = _asked(_repository(named)) if named else None
    if found is None:
        raise BuildError(
            f"there is no repository for {config.gcp.image}: infra/gcp makes it; or name an image in "
            "deploy.toml: [gcp]"
        )
    scheme, host, folder = _address(found)
    return Login(f"{scheme}://{host}", "oauth2accesstoken", clients.credentials().token, folder)


def _address(repository: Mapping[str, Any]) -> tuple[str, str, str]:
    """Scheme, host and folder of a repository's registryUri, which has no scheme where it is https."""
    scheme, _, rest = repository["registryUri"].rpartition("://")
    host, _, path = rest.partition("/")
    # The kit's image has the repository's own name in its name.
    folder = path.rpartition("/")[0]
    return scheme or "https", host, f"{folder}/" if folder else ""


@told()
def check(config: Config) -> None:
    """Raise CloudError for an image that the configured machine type cannot run, where the registry tells."""
    named = _OURS.fullmatch(config.gcp.image)
    if not named or named["project"] != config.gcp.project:
        return
    try:
        repository = _asked(_repository(named))
        built_for = _processors(repository, named) if repository else set()
    except (exceptions.Forbidden, requests.RequestException, ValueError):  # what is not told stops nobody
        return
    wanted = machines.processor(config.gcp.machine_type)
    if built_for and wanted not in built_for:
        raise CloudError(
            f"deploy.toml: [gcp]: image {config.gcp.image!r} is built for {', '.join(sorted(built_for))}, "
            f"and {config.gcp.machine_type} has {wanted}: build it with --platform linux/{wanted}, or "
            "choose another machine_type"
        )


def _processors(repository: Mapping[str, Any], named: re.Match[str]) -> set[str]:
    """By the registry's own API. Source: github.com/opencontainers/distribution-spec, "Pulling manifests"."""
    scheme, host, folder = _address(repository)
    package = f"{scheme}://{host}/v2/{folder}{named['repository']}/{named['package']}"
    reference = named["digest"] or named["tag"] or "latest"
    manifest = _pulled(f"{package}/manifests/{reference}")
    return manifests.processors(manifest, lambda digest: _pulled(f"{package}/blobs/{digest}"))


def _pulled(url: str) -> dict[str, Any]:
    answer = clients.session().get(url, headers={"Accept": ", ".join(manifests.MANIFESTS)}, timeout=TIMEOUT_S)
    return dict(answer.json()) if answer.status_code == 200 else {}


def _repository(named: re.Match[str]) -> str:
    return f"projects/{named['project']}/locations/{named['location']}/repositories/{named['repository']}"


def _asked(name: str) -> dict[str, Any] | None:
    """A resource of the API; None where there is none. Raises Google's own exceptions."""
    answer = clients.session().get(
        f"{clients.address('ARTIFACTREGISTRY', USUAL)}/v1/{name}", timeout=TIMEOUT_S
    )
    if answer.status_code == 404:
        return None
    if answer.status_code != 200:
        refused: Any = exceptions.from_http_response  # its argument has no type
        raise refused(answer)
    return dict(answer.json())
