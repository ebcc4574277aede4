"""What a predictor file imports of Google's SDK: Predictor, Handler, PredictionHandler and the serializer.

They answer as google-cloud-aiplatform 2.7.0 does, error texts included, without its 200 MB. The error texts
quote the request, as Google's do: a body is never logged, and its sender knows it.
Source: cloud.google.com/vertex-ai/docs/predictions/custom-prediction-routines
"""

from __future__ import annotations

import importlib
import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

JSON = "application/json"


class Predictor(ABC):
    """Loads a model and predicts with it; the two steps around predict hand through what they get."""

    def __init__(self) -> None:
        return

    @abstractmethod
    def load(self, artifacts_uri: str, **kwargs: Any) -> None: ...

    def preprocess(self, prediction_input: Any) -> Any:
        return prediction_input

    @abstractmethod
    def predict(self, instances: Any) -> Any: ...

    def postprocess(self, prediction_results: Any) -> Any:
        return prediction_results


class Handler(ABC):
    """Takes a request and returns a response, with a predictor or without one."""

    @abstractmethod
    def __init__(self, artifacts_uri: str, predictor: type[Predictor] | None = None) -> None: ...

    @abstractmethod
    def handle(self, request: Any) -> Any: ...


class PredictionHandler(Handler):
    """JSON in, the predictor's three steps, JSON out."""

    def __init__(self, artifacts_uri: str, predictor: type[Predictor] | None = None) -> None:
        if predictor is None:
            raise ValueError("PredictionHandler needs a predictor class, and got none.")
        self._predictor = predictor()
        self._predictor.load(artifacts_uri)

    async def handle(self, request: Any) -> Any:
        body = await request.body()
        given = DefaultSerializer.deserialize(body, get_content_type_from_headers(request.headers))
        predicted = self._predicted(given)
        accept = get_accept_from_headers(request.headers)
        data = DefaultSerializer.serialize(predicted, accept)
        return _fastapi().Response(content=data, media_type=accept)

    def _predicted(self, given: Any) -> Any:
        steps = self._predictor
        try:
            return steps.postprocess(steps.predict(steps.preprocess(given)))
        except _fastapi().HTTPException:
            raise
        except Exception as error:
            raise _fastapi().HTTPException(
                500,
                f"The following exception has occurred: {type(error).__name__}. Arguments: {error.args}.",
            ) from error


class Serializer(ABC):
    """A body to what the predictor takes, and back."""

    @staticmethod
    @abstractmethod
    def deserialize(data: Any, content_type: str | None) -> Any: ...

    @staticmethod
    @abstractmethod
    def serialize(prediction: Any, accept: str | None) -> Any: ...


class DefaultSerializer(Serializer):
    """JSON alone; anything else is answered 400."""

    @staticmethod
    def deserialize(data: Any, content_type: str | None) -> Any:
        if content_type != JSON:
            raise _unsupported(f"content type of the request: {content_type}", "content-type")
        try:
            return json.loads(data)
        except json.JSONDecodeError as error:
            raise _failed(f"deserialization failed for the request data: {data}", "content-type") from error

    @staticmethod
    def serialize(prediction: Any, accept: str | None) -> Any:
        if parse_accept_header(accept).keys().isdisjoint({JSON, "*/*"}):
            raise _unsupported(f"accept of the response: {accept}", "accept")
        try:
            return json.dumps(prediction)
        except TypeError as error:
            raise _failed(
                f"serialization failed for the prediction result: {prediction}", "accept"
            ) from error


def get_content_type_from_headers(headers: Mapping[str, str] | None) -> str | None:
    """The content type without its parameters."""
    for name, value in (headers or {}).items():
        if name.lower().replace("-", "") == "contenttype":
            return value.split(";")[0]
    return None


def get_accept_from_headers(headers: Mapping[str, str] | None) -> str:
    """What the caller accepts, as it was written; JSON where nothing was."""
    return next((value for name, value in (headers or {}).items() if name.lower() == "accept"), JSON)


def parse_accept_header(accept_header: str | None) -> dict[str, float]:
    """The media types by their quality. A parameter without a number raises, as it does at Google's."""
    found = {}
    for part in (accept_header or "").split(",") if accept_header else ():
        name, *parameters = part.split(";")
        found[name.strip()] = float(parameters[0].split("=")[1]) if parameters else 1.0
    return found


def _unsupported(what: str, header: str) -> Exception:
    return _bad_request(f"Unsupported {what}.\n{_supported(header)}")


def _failed(step: str, header: str) -> Exception:
    hint = f'To specify a different type, please set the "{header}" header in the request.'
    return _bad_request(f"JSON {step}.\n{hint}\n{_supported(header)}")


def _supported(header: str) -> str:
    return f'Currently supported {header} in DefaultSerializer: "{JSON}".'


def _bad_request(detail: str) -> Exception:
    error: Exception = _fastapi().HTTPException(status_code=400, detail=detail)
    return error


def _fastapi() -> Any:
    """FastAPI, or what stands in for it: whichever the user's own file has imported."""
    return importlib.import_module("fastapi")
