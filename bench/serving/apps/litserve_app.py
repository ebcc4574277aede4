"""LitServe, batching on, as many workers and HTTP processes as there are cores, its faster queue."""

from typing import Annotated, Any

import litserve
from fastapi import Body

from bench.serving.apps import handling


class Batching(litserve.LitAPI):
    def setup(self, device: str) -> None:
        self.answer = handling.loaded()

    def batch(self, inputs: list[handling.Instances]) -> handling.Instances:
        self.requests = inputs
        return [instance for request in inputs for instance in request]

    def predict(self, x: handling.Instances) -> list[Any]:
        return self.answer(x)

    def unbatch(self, output: list[Any]) -> list[list[Any]]:
        return handling.split(output, self.requests)

    def encode_response(self, output: list[Any]) -> dict[str, Any]:
        return {"predictions": output}


class OnJson(Batching):
    def decode_request(self, request: dict[str, Any]) -> Any:
        return request["instances"]


# It reads this annotation itself, so here annotations are no text.
class OnBytes(Batching):
    def decode_request(self, request: Annotated[bytes, Body()]) -> Any:
        return handling.decode(request)


if __name__ == "__main__":
    kind = OnBytes if handling.MODEL == "image" else OnJson
    api = kind(max_batch_size=handling.BATCH, batch_timeout=handling.BATCH_WAIT_S, api_path="/invocations")
    server = litserve.LitServer(
        api,
        accelerator="cpu",
        workers_per_device=handling.WORKERS,
        healthcheck_path="/ping",
        timeout=60,
        fast_queue=True,
    )
    server.run(
        port=handling.PORT,
        generate_client_file=False,
        log_level="error",
        num_api_servers=handling.WORKERS,
    )
