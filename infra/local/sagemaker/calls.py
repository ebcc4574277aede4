"""One request to an endpoint: a container chosen, another where that one refuses, and all of it measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from infra.local.cloudwatch import CloudWatch
from infra.local.sagemaker import fleets, invocations, measures, states
from infra.local.sagemaker.exchanges import Connections
from infra.local.sagemaker.fleets import Place
from infra.local.sagemaker.invocations import Invocation
from infra.local.sagemaker.measures import Timing
from infra.local.sagemaker.states import Endpoint, Endpoints, Key

if TYPE_CHECKING:
    import aiohttp

Result = TypeVar("Result")


class Calls:
    """Carries requests to containers, on the event loop."""

    def __init__(self, endpoints: Endpoints, cloudwatch: CloudWatch) -> None:
        self._endpoints, self._cloudwatch = endpoints, cloudwatch
        self._connections = Connections()

    def serving(self, invocation: Invocation) -> Endpoint:
        """The endpoint as it is now. Raises AwsError where it does not serve."""
        endpoint = self._endpoints.find(Key.of(invocation.caller, invocation.endpoint))
        if endpoint is None or not endpoint.serves:
            raise invocations.not_found(invocation.caller, invocation.endpoint)
        return endpoint

    def find(self, key: Key) -> Endpoint | None:
        """The endpoint as it is now, None if it is gone."""
        return self._endpoints.find(key)

    async def carry(
        self,
        invocation: Invocation,
        seconds: float,
        use: Callable[[Place, aiohttp.ClientResponse], Awaitable[Result]],
    ) -> Result:
        """What `use` makes of the container's answer, all within the seconds. Raises AwsError."""
        timing = Timing()
        while True:
            place = await self._place(invocation)
            try:
                async with self._connections.posted(place.container, invocation, seconds, timing) as answer:
                    return await use(place, answer)
            except ConnectionRefusedError:
                # Nothing was sent: another container may take it, until none is left that answers.
                place.container.healthy = False
                timing.asked = 0.0
            finally:
                place.leave()
                if timing.asked:
                    measures.publish(self._cloudwatch, place, timing, invocation.is_queued)

    async def close(self) -> None:
        """Closes the connections to the containers."""
        await self._connections.close()

    async def _place(self, invocation: Invocation) -> Place:
        """A place for the request, to be left."""
        while True:
            endpoint = self.serving(invocation)
            if invocation.target and invocation.target not in endpoint.fleet:
                text = f"Variant {invocation.target} not found for endpoint {invocation.endpoint}."
                raise invocations.validation_error(text)
            group = states.draw(endpoint, invocation.target)
            if group is None:
                raise invocations.unavailable()
            if place := await fleets.take(group):
                return place
            await asyncio.sleep(0)  # it retires: the endpoint points at another fleet by now
