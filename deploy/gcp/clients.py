"""Google's clients, made once each, and their errors told as sentences.

Of google-cloud-aiplatform only its clients of the API itself are used, aiplatform_v1, and over REST: they
import in half of the time that `google.cloud.aiplatform` takes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import google.auth
import requests
from google.api_core.exceptions import GoogleAPICallError, RetryError
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.auth.transport.requests import Request as HttpRequest
from google.cloud import aiplatform_v1
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from requests.adapters import HTTPAdapter

from deploy.gcp import errors
from deploy.latency import MOST_AT_ONCE
from deploy.target import CloudError

# Where an API answers if it is not at its usual address: what Google's own command line, gcloud, reads
# (api_endpoint_overrides), since the SDK for Python has no variable of its own for it.
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# For what only reads: it may be asked for again.
READ = Retry(initial=0.2, maximum=5.0, timeout=30.0)
# The same for Cloud Storage, whose client tries for two minutes by itself. Its uploads, too: they are the
# same bytes under the same name, or have a condition that a second one does not meet.
STORED = DEFAULT_RETRY.with_delay(initial=0.2, maximum=5.0).with_timeout(30.0)
STORED_TIMEOUT_S = (5.0, 60.0)  # until there is a connection, and between two bytes of an answer


def address(service: str, usual: str) -> str:
    """The address of an API, without a slash at its end."""
    return os.environ.get(f"{OVERRIDE}{service}", "").rstrip("/") or usual


def vertex_address(region: str) -> str:
    return address("AIPLATFORM", f"https://{region}-aiplatform.googleapis.com")


@cache
def credentials() -> Any:
    """The default credentials, known to be good now: a client would try bad ones again for minutes."""
    found: Any = google.auth.default(scopes=SCOPES)[0]  # its methods have no types
    found.refresh(HttpRequest())
    return found


@cache
def session() -> Any:
    """For what the SDK's clients do not do."""
    make: Any = AuthorizedSession  # its arguments have no types
    made = make(credentials())
    # requests keeps ten connections and makes each further one anew for its request.
    for scheme in ("https://", "http://"):
        made.mount(scheme, HTTPAdapter(pool_maxsize=MOST_AT_ONCE))
    return made


@cache
def bucket_client(project: str) -> Any:
    return Client(project=project, credentials=credentials())


def bounded() -> dict[str, Any]:
    """For every call of Cloud Storage's client: how long it is tried."""
    return {"retry": STORED, "timeout": STORED_TIMEOUT_S}


@cache
def models(region: str) -> Any:
    return aiplatform_v1.ModelServiceClient(**_vertex(region))


@cache
def endpoints(region: str) -> Any:
    return aiplatform_v1.EndpointServiceClient(**_vertex(region))


@cache
def jobs(region: str) -> Any:
    return aiplatform_v1.JobServiceClient(**_vertex(region))


def _vertex(region: str) -> dict[str, Any]:
    options = {"api_endpoint": vertex_address(region)}
    return {"credentials": credentials(), "transport": "rest", "client_options": options}


@contextmanager
def told(refused: type[CloudError] = CloudError) -> Iterator[None]:
    """Tell the SDK's errors as sentences; `refused` is raised where Google surely did nothing."""
    try:
        yield
    except RetryError as error:
        raise CloudError(_sentence(error.cause or error)) from error
    except GoogleAPICallError as error:
        kind = refused if 400 <= int(error.code or 500) < 500 else CloudError
        raise kind(_sentence(error)) from error
    except (DefaultCredentialsError, RefreshError) as error:
        raise refused(_sentence(error)) from error
    except (GoogleAuthError, requests.RequestException, InvalidResponse, DataCorruption) as error:
        raise CloudError(_sentence(error)) from error


def _sentence(error: Exception) -> str:
    if isinstance(error, GoogleAPICallError):
        return errors.refusal(int(error.code or 500), str(error.message))
    if isinstance(error, InvalidResponse):  # of an upload in parts, which says no more than this
        return errors.refusal(error.response.status_code, str(error))
    if isinstance(error, DefaultCredentialsError):
        return errors.no_credentials(str(error))
    if isinstance(error, RefreshError):
        return errors.expired(str(error.args[0]) if error.args else str(error))
    if isinstance(error, TransportError | requests.RequestException):
        return errors.unreached(str(error))
    return str(error)
