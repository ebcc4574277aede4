"""Endpoints: made, changed and deleted; their traffic split among what is deployed to them."""

from __future__ import annotations

import re
from collections.abc import Callable

from infra.local.vertex import labels, listing
from infra.local.vertex.api import Call, Json, Route, Vertex
from infra.local.vertex.deployed import check_timeout
from infra.local.vertex.deployments import Deployments
from infra.local.vertex.errors import GoogleError, invalid
from infra.local.vertex.messages import checked
from infra.local.vertex.operations import Operation, new_id
from infra.local.vertex.resources import Table, patched
from infra.local.vertex.traffic import check_split

ENDPOINT_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
EDITABLE = {
    "display_name": "displayName",
    "description": "description",
    "labels": "labels",
    "traffic_split": "trafficSplit",
    "predict_request_response_logging_config": "predictRequestResponseLoggingConfig",
}
# Of UpdateEndpointLongRunning, which is for nothing else.
RECONNECTED = {"client_connection_config": "clientConnectionConfig"}


class Endpoints:
    """The operations on endpoints. `table` and the deployments are what the data plane reads."""

    def __init__(self, vertex: Vertex, deployments: Deployments, dns: Callable[[], str]) -> None:
        """`dns` says where dedicated endpoints answer: HOST:PORT, with TLS; it may have to open it first."""
        self.table = Table()
        self._vertex, self._deployments, self._dns = vertex, deployments, dns

    @property
    def routes(self) -> tuple[Route, ...]:
        """What answers which path."""
        return (
            Route("POST", "endpoints", self.create),
            Route("GET", "endpoints", self.list_endpoints),
            Route("GET", "endpoints/*", self.get),
            Route("PATCH", "endpoints/*", self.patch),
            Route("POST", "endpoints/*:update", self.update),
            Route("DELETE", "endpoints/*", self.delete),
        )

    def create(self, call: Call) -> Json:
        """CreateEndpoint."""
        endpoint = checked("Endpoint", call.body, "endpoint")
        _check(endpoint)
        chosen = call.query.get("endpointId", "")
        if chosen and not ENDPOINT_ID.fullmatch(chosen):
            raise invalid(f"{chosen!r} is no ID for an Endpoint.", "endpoint_id")
        name = f"{call.place.name}/endpoints/{chosen or new_id()}"
        if self.table.has(name):
            raise GoogleError("ALREADY_EXISTS", f'Resource "{name}" already exists.')
        for given in ("deployedModels", "trafficSplit", "dedicatedEndpointDns"):
            endpoint.pop(given, None)  # the service's to say

        def work(operation: Operation) -> Json:
            dns = {"dedicatedEndpointDns": self._dns()} if endpoint.get("dedicatedEndpointEnabled") else {}
            return self.table.add(name, {**endpoint, **dns})

        return self._vertex.operations.begin(name, "CreateEndpoint", work, "Endpoint")

    def get(self, call: Call) -> Json:
        """GetEndpoint."""
        return self._deployments.described(self.table.get(call.name))

    def list_endpoints(self, call: Call) -> Json:
        """ListEndpoints."""
        found = [self._deployments.described(one) for one in self.table.all_of(call.place.name, "endpoints")]
        return listing.page(found, "endpoints", call.query)

    def patch(self, call: Call) -> Json:
        """UpdateEndpoint."""
        given = checked("Endpoint", call.body, "endpoint")
        labels.check(given.get("labels", {}), "endpoint.labels")
        mask = call.query.get("updateMask", "")

        def edit(endpoint: Json) -> Json:
            changed = patched(endpoint, given, mask, EDITABLE)
            if changed.get("trafficSplit") != endpoint.get("trafficSplit"):
                check_split(changed.get("trafficSplit", {}), _ids(endpoint))
            return changed

        return self._deployments.described(self.table.change(call.name, edit))

    def update(self, call: Call) -> Json:
        """UpdateEndpointLongRunning: the client connection's settings."""
        given = checked("UpdateEndpointLongRunningRequest", call.body).get("endpoint", {})

        def work(operation: Operation) -> Json:
            mask = ",".join(RECONNECTED)
            return self.table.change(call.name, lambda one: patched(one, given, mask, RECONNECTED))

        check_timeout(given)
        self.table.get(call.name)
        return self._vertex.operations.begin(call.name, "UpdateEndpoint", work, "Endpoint")

    def delete(self, call: Call) -> Json:
        """DeleteEndpoint; not with a model on it."""

        def check(endpoint: Json) -> None:
            if self._deployments.at(call.name):
                text = f'The Endpoint "{call.name}" has deployed or being-deployed DeployedModel(s).'
                raise GoogleError("FAILED_PRECONDITION", text)

        self.table.remove(call.name, check)
        return self._vertex.operations.begin(call.place.name, "Delete", lambda operation: {})

    def summarised(self) -> list[dict[str, str]]:
        """Every endpoint of every project in a line: {name, status, region, account}."""
        return [_summary(one) for one in self.table.everything()]


def _check(endpoint: Json) -> None:
    """What an Endpoint must be beyond its types. Raises GoogleError."""
    if not endpoint.get("displayName"):
        raise invalid("The display_name of the Endpoint is required.", "endpoint.display_name")
    if endpoint.get("network") or endpoint.get("privateServiceConnectConfig"):
        text = "The local Vertex AI has no private endpoints: leave network and Private Service Connect out."
        raise GoogleError("UNIMPLEMENTED", text)
    labels.check(endpoint.get("labels", {}), "endpoint.labels")
    check_timeout(endpoint)


def _summary(endpoint: Json) -> dict[str, str]:
    _, number, _, region, _, _ = endpoint["name"].split("/")
    status = f"{len(endpoint.get('deployedModels', []))} deployed"
    return {"name": endpoint["displayName"], "status": status, "region": region, "account": number}


def _ids(endpoint: Json) -> set[str]:
    return {one["id"] for one in endpoint.get("deployedModels", [])}
