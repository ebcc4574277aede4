"""One request to one container over HTTP, with a time limit, and in SageMaker's words where it fails."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from infra.local.sagemaker import invocations
from infra.local.sagemaker.containers import Container
from infra.local.sagemaker.invocations import Invocation
from infra.local.sagemaker.measures import Timing

if TYPE_CHECKING:
    import aiohttp

# Under uvicorn's 5 s, so that no connection is used in the moment in which the container closes it.
KEEP_ALIVE_S = 3.0


class Connections:
    """The connections to the containers, on the event loop."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @asynccontextmanager
    async def posted(
        self, container: Container, invocation: Invocation, seconds: float, timing: Timing
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The container's answer, which is 2xx, to be read in time. Raises AwsError ModelError otherwise.

        Raises ConnectionRefusedError if nothing was sent.
        """
        import aiohttp

        request = self._http().post(
            f"http://127.0.0.1:{container.port}/invocations",
            data=invocation.body,
            headers=invocation.headers,
            timeout=aiohttp.ClientTimeout(total=seconds),
            allow_redirects=False,
        )
        timing.asked = time.monotonic()
        try:
            async with request as answer:
                timing.status = answer.status
                if answer.status // 100 != 2:
                    said = (await answer.read()).decode("utf-8", "replace")
                    raise invocations.model_error(invocation, answer.status, said)
                yield answer
        except TimeoutError:
            timing.status = 0
            raise invocations.model_error(invocation, 0, invocations.TIMED_OUT) from None
        except aiohttp.ClientConnectorError as error:
            raise ConnectionRefusedError(str(error)) from error
        except aiohttp.ClientError as error:
            timing.status = 0
            text = f"The connection to container primary broke before its answer was whole: {error}"
            raise invocations.model_error(invocation, 0, text) from error
        finally:
            timing.answered = time.monotonic()

    async def close(self) -> None:
        """Closes them."""
        if self._session:
            await self._session.close()

    def _http(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_S),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
            )
        return self._session
