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
from google.api_core.exceptions import GoogleAPICallError
from google.api_core.retry import Retry
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import AuthorizedSession
from google.cloud import aiplatform_v1
from google.cloud.storage import Client

from deploy.gcp import errors
from deploy.target import CloudError

# Where an API answers if it is not at its usual address: what Google's own command line, gcloud, reads
# (api_endpoint_overrides), since the SDK for Python has no variable of its own for it.
OVERRIDE = "CLOUDSDK_API_ENDPOINT_OVERRIDES_"
SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
# For what only reads: it may be asked for again.
READ = Retry(initial=0.2, maximum=5.0, timeout=30.0)


def address(service: str, usual: str) -> str:
    """The address of an API, without a slash at its end."""
    return os.environ.get(f"{OVERRIDE}{service}", "").rstrip("/") or usual


def vertex_address(region: str) -> str:
    return address("AIPLATFORM", f"https://{region}-aiplatform.googleapis.com")


@cache
def credentials() -> Any:
    found, _ = google.auth.default(scopes=SCOPES)
    return found


@cache
def session() -> Any:
    """For what the SDK's clients do not do."""
    make: Any = AuthorizedSession  # its arguments have no types
    return make(credentials())


@cache
def bucket_client(project: str) -> Any:
    return Client(project=project, credentials=credentials())


@cache
def models(region: str) -> Any:
    return aiplatform_v1.ModelServiceClient(**_vertex(region))


@cache
def endpoints(region: str) -> Any:
    return aiplatform_v1.EndpointServiceClient(**_vertex(region))


def _vertex(region: str) -> dict[str, Any]:
    options = {"api_endpoint": vertex_address(region)}
    return {"credentials": credentials(), "transport": "rest", "client_options": options}


@contextmanager
def told(refused: type[CloudError] = CloudError) -> Iterator[None]:
    """Tell the SDK's errors as sentences; `refused` is raised where Google surely did nothing."""
    try:
        yield
    except GoogleAPICallError as error:
        status = int(error.code or 500)
        kind = refused if 400 <= status < 500 else CloudError
        raise kind(errors.refusal(status, str(error.message))) from error
    except DefaultCredentialsError as error:
        raise refused(errors.LOG_IN) from error
    except RefreshError as error:
        raise refused(f"the Google credentials cannot be used ({error}): {errors.RENEW}") from error
    except (TransportError, requests.RequestException) as error:
        raise CloudError(errors.unreached(str(error))) from error
    except GoogleAuthError as error:
        raise CloudError(str(error)) from error
