"""Google Cloud as the tests see it: Google's SDK against the tests' local cloud."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any
from urllib.parse import urlsplit

import requests
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.auth.transport.requests import AuthorizedSession
from google.cloud import aiplatform_v1, storage
from google.cloud.aiplatform_v1 import Endpoint

from clouds import STRANGE
from deploy.gcp import clients
from deploy.gcp import storage as deploys_storage

PROJECT, REGION, BUCKET = "slipway-tests", "us-central1", "slipway-tests-gcp"
PLACE = f"projects/{PROJECT}/locations/{REGION}"
IMAGE = f"{REGION}-docker.pkg.dev/{PROJECT}/slipway/serving:1"
OWNER = "slipway-deployment"
Send = Callable[[], Any]
Around = Callable[[Send, str], Any]
VERSION = re.compile(r"-[0-9a-f]{12}")


def forget() -> None:
    """The next verb makes its clients anew, as a new process would."""
    for module in (clients, deploys_storage):
        for made in vars(module).values():
            if hasattr(made, "cache_clear"):
                made.cache_clear()


class Storage:
    """Objects in Cloud Storage."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def put(self, uri: str, body: bytes | str) -> None:
        self._blob(uri).upload_from_string(body)

    def get(self, uri: str) -> bytes:
        try:
            return bytes(self._blob(uri).download_as_bytes())
        except NotFound:
            raise FileNotFoundError(uri) from None

    def list(self, uri: str) -> list[str]:
        bucket, _, prefix = uri.removeprefix("gs://").partition("/")
        return sorted(f"gs://{bucket}/{one.name}" for one in self._client.list_blobs(bucket, prefix=prefix))

    def remove(self, uri: str) -> None:
        for one in self.list(uri):
            self._blob(one).delete()

    def _blob(self, uri: str) -> Any:
        return storage.Blob.from_uri(uri, self._client)


class Gcp:
    """Google Cloud; see `clouds.Cloud`."""

    name, bucket = "gcp", BUCKET
    kinds = ("archive", "model", "endpoint")
    machines = ("n2-standard-2", "n2-standard-8")

    def __init__(self, local: Any) -> None:
        self.local = local
        self._around: list[Around] = []
        self._used: set[Any] = set()
        options = {"api_endpoint": local.url}
        given = {"credentials": AnonymousCredentials(), "client_options": options}
        self.client = storage.Client(project=PROJECT, **given)
        self.storage = Storage(self.client)
        self.models = aiplatform_v1.ModelServiceClient(transport="rest", **given)
        self.endpoints = aiplatform_v1.EndpointServiceClient(transport="rest", **given)
        self.jobs = aiplatform_v1.JobServiceClient(transport="rest", **given)
        self._watch()
        if not self.client.lookup_bucket(BUCKET):
            self.client.create_bucket(BUCKET)

    def uri(self, key: str = "") -> str:
        return f"gs://{self.bucket}/{key}"

    def held(self, name: str) -> set[str]:
        found = {f"archive {uri.removeprefix(self.uri())}" for uri in self.storage.list(self.uri(f"{name}/"))}
        own = re.compile(re.escape(name) + VERSION.pattern)
        models = [model.name.rpartition("/")[2] for model in self.models.list_models(parent=PLACE)]
        found |= {f"model {one}" for one in models if own.fullmatch(one)}
        # What is answered has the project's number where we say its ID.
        endpoints = [one.name.rpartition("/")[2] for one in self.endpoints.list_endpoints(parent=PLACE)]
        return found | {f"endpoint {one}" for one in endpoints if one == name}

    def asked(self, name: str, body: str = "1") -> Any:
        return json.loads(self.raw(name, body.encode(), "application/jsonlines").content)

    def raw(self, name: str, body: bytes, content_type: str, verb: str = "rawPredict") -> requests.Response:
        """rawPredict, or predict, by hand; HTTPError unless it is 200."""
        described = self.endpoints.get_endpoint(name=f"{PLACE}/endpoints/{name}")
        dns = described.dedicated_endpoint_dns
        answer = requests.post(
            f"{f'https://{dns}' if dns else self.local.url}/v1/{described.name}:{verb}",
            data=body,
            headers={"Content-Type": content_type},
            timeout=60,
            verify=self.local.environment["REQUESTS_CA_BUNDLE"],
        )
        answer.raise_for_status()
        return answer

    def machine(self, name: str) -> str:
        (one,) = self.endpoints.get_endpoint(name=f"{PLACE}/endpoints/{name}").deployed_models
        return str(one.dedicated_resources.machine_spec.machine_type)

    def give(self, name: str, owner: str) -> None:
        endpoint = Endpoint(name=f"{PLACE}/endpoints/{name}", labels={OWNER: owner} if owner else {})
        self.endpoints.update_endpoint(request={"endpoint": endpoint, "update_mask": {"paths": ["labels"]}})

    def add_model(self, like: str) -> str:
        name = f"{like}-{STRANGE}"
        model = {"display_name": name, "container_spec": {"image_uri": IMAGE}}
        request = {"parent": PLACE, "model_id": name, "model": model}
        self.models.upload_model(request=request).result(30)
        return name

    def delete_model(self, model: str) -> None:
        self.models.delete_model(name=f"{PLACE}/models/{model}").result(30)

    def delete_endpoint(self, name: str) -> None:
        name = f"{PLACE}/endpoints/{name}"
        for one in self.endpoints.get_endpoint(name=name).deployed_models:
            self.endpoints.undeploy_model(endpoint=name, deployed_model_id=one.id).result(30)
        self.endpoints.delete_endpoint(name=name).result(30)

    def forget(self) -> None:
        self._around.clear()
        # Closed, since an interrupted verb leaves them to the garbage collector, which warns of it.
        while self._used:
            self._used.pop().close()
        forget()

    def on_call(self, heard: Callable[[str], None]) -> None:
        def after(send: Send, operation: str) -> Any:
            answered = send()
            heard(operation)
            return answered

        self._around.append(after)

    def refuse(self, operation: str, status: int, message: str = "no") -> None:
        document = {"error": {"code": status, "message": message, "details": []}}
        self._answer(operation, status, document)

    def ignore(self, operation: str) -> None:
        nothing = {"@type": "type.googleapis.com/google.protobuf.Empty"}
        self._answer(operation, 200, {"name": f"{PLACE}/operations/1", "done": True, "response": nothing})

    def _answer(self, operation: str, status: int, document: dict[str, Any]) -> None:
        def instead(send: Send, called: str) -> Any:
            return answer(called, status, document) if called == operation else send()

        self._around.append(instead)

    def without_credentials(self, patch: Any) -> None:
        # What NO_GCE_CHECK=true does in a new process: the machine's are all that the local cloud gives.
        patch.setattr("google.auth.compute_engine._metadata._NO_GCE_CHECK", True)
        self.forget()

    @cached_property
    def bucket_of_others(self) -> str:
        self.client.create_bucket("slipway-of-others-gcp", project="somebody-else")
        return "slipway-of-others-gcp"

    def _watch(self) -> None:
        """Have every call of every session of Google's but ours go through `_around`."""
        self._request, ours = AuthorizedSession.request, {self.client._http, *self._sessions()}

        def request(session: Any, method: str, url: str, *given: Any, **named: Any) -> Any:
            if session in ours:
                return self._request(session, method, url, *given, **named)
            self._used.add(session)
            send: Send = partial(self._request, session, method, url, *given, **named)
            for around in self._around:
                send = partial(around, send, operation_of(method, url))
            return send()

        AuthorizedSession.request = request

    def _sessions(self) -> list[Any]:
        return [one.transport._session for one in (self.models, self.endpoints, self.jobs)]

    def close(self) -> None:
        """Ends its connections."""
        self.forget()
        AuthorizedSession.request = self._request
        for session in (self.client, *self._sessions()):
            session.close()


def operation_of(method: str, url: str) -> str:
    """What a request asks for, without what it asks it of: `POST endpoints:deployModel`, `GET operations`."""
    parts = urlsplit(url).path.strip("/").split("/")
    if "storage" in parts:
        return f"{method} {'objects' if 'o' in parts else 'buckets'}"
    if "locations" not in parts:
        return f"{method} {parts[-1]}"
    # collection/name/collection/name:verb, or collection:verb
    below = parts[parts.index("locations") + 2 :]
    last, colon, verb = below[-1].partition(":")
    return f"{method} {last if len(below) % 2 else below[-2]}{colon}{verb}"


def answer(operation: str, status: int, document: dict[str, Any]) -> requests.Response:
    """A document as Google's APIs answer it."""
    made = requests.Response()
    made.status_code, made.headers["Content-Type"] = status, "application/json"
    made.request = requests.Request(operation.split()[0], "http://unasked").prepare()
    made._content = json.dumps(document).encode()
    return made
