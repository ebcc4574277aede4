"""FastAPI and uvicorn, by hand, as tutorials have it: a plain function, which runs in the pool of threads."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request, Response

from bench.serving.apps import handling

predict = handling.loaded()
app = FastAPI()


@app.get("/ping")
def ping() -> dict[str, Any]:
    return {}


if handling.MODEL == "image":

    @app.post("/invocations")
    async def invocations(request: Request) -> Response:
        predictions = predict(handling.decode(await request.body()))
        return Response(handling.encode(predictions), media_type=handling.JSON)

else:

    @app.post("/invocations")
    def invocations_json(body: dict[str, Any]) -> dict[str, Any]:
        return {"predictions": predict(body["instances"])}
