"""The context that a handler's functions may take: what AWS's model servers tell about a request, and where a
handler sets its answer's status and headers.

Source: pypi.org/project/multi-model-server 1.1.11, module mms.context; TorchServe's is the same for a handler
"""

from __future__ import annotations

import uuid
from typing import Any

from inference.serving import log
from inference.serving.handlers import Call

# As the platform spells them: a handler may look one up by the exact name.
_SPELLED = (
    "Content-Type",
    "Accept",
    "X-Amzn-SageMaker-Custom-Attributes",
    "X-Amzn-SageMaker-Inference-Id",
    "X-Amzn-SageMaker-Inference-Component",
    "X-Amzn-SageMaker-Session-Id",
    "X-Amzn-SageMaker-Target-Container-Hostname",
    "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
)
_SPELLING = {name.lower(): name for name in _SPELLED}


class RequestHeaders(dict[str, str]):
    """A request's headers, found in any spelling of their case."""

    def __missing__(self, name: str) -> str:
        for known in self:
            if known.lower() == name.lower():
                return self[known]
        raise KeyError(name)

    def get(self, name: str, default: Any = None) -> Any:
        try:
            return self[name]
        except KeyError:
            return default


def request_headers(call: Call) -> RequestHeaders:
    """All headers of a call. One that was not sent is not there, so that a handler finds None."""
    given = {**call.headers, "content-type": call.content_type, "accept": call.accept}
    return RequestHeaders({_SPELLING.get(name, name.title()): text for name, text in given.items() if text})


class RequestProcessor:
    """One request's headers, and the answer's status and headers as the handler sets them."""

    def __init__(self, headers: RequestHeaders) -> None:
        self._request_headers = headers
        self._response_headers: dict[str, Any] = {}
        self._status: Any = 200
        self._phrase: Any = None

    def get_request_property(self, key: str) -> Any:
        return self._request_headers.get(key)

    def get_request_properties(self) -> RequestHeaders:
        return self._request_headers

    def report_status(self, code: Any, reason_phrase: Any = None) -> None:
        self._status, self._phrase = code, reason_phrase

    def get_response_status_code(self) -> Any:
        return self._status

    def get_response_status_phrase(self) -> Any:
        return self._phrase

    def add_response_property(self, key: str, value: Any) -> None:
        self._response_headers[key] = value

    def get_response_header(self, key: str) -> Any:
        return self._response_headers.get(key)

    def get_response_headers(self) -> dict[str, Any]:
        return self._response_headers


class Metrics:
    """A handler's own figures, each a line in the log."""

    def add_metric(self, name: str, value: Any, unit: Any, idx: Any = None, dimensions: Any = None) -> None:
        log.event(f"handler metric {name}: {value} {unit}")

    def add_counter(self, name: str, value: Any, idx: Any = None, dimensions: Any = None) -> None:
        self.add_metric(name, value, "count")

    def add_time(
        self, name: str, value: Any, idx: Any = None, unit: str = "ms", dimensions: Any = None
    ) -> None:
        self.add_metric(name, value, unit)

    def add_size(
        self, name: str, value: Any, idx: Any = None, unit: str = "MB", dimensions: Any = None
    ) -> None:
        self.add_metric(name, value, unit)

    def add_percent(self, name: str, value: Any, idx: Any = None, dimensions: Any = None) -> None:
        self.add_metric(name, value, "percent")

    def add_error(self, name: str, value: Any, dimensions: Any = None) -> None:
        self.add_metric(name, value, "")


class Context:
    """One for a loaded handler, as at AWS: a handler may keep what it likes in it from request to request.

    While the model loads there is no request: request_processor is None.
    """

    def __init__(self, model_dir: str, gpu_id: int | None) -> None:
        self.model_name = "model"
        self.manifest: dict[str, Any] = {}
        self.system_properties: dict[str, Any] = {
            "model_dir": model_dir,
            "gpu_id": gpu_id,
            "batch_size": 1,
            "server_name": "MMS",
            "server_version": "1.1.11",
        }
        self.request_ids: dict[int, str] | None = None
        self.request_processor: list[RequestProcessor] | None = None
        self.metrics: Any = Metrics()

    def begin(self, call: Call) -> RequestProcessor:
        """Turn to the next request, and return where its answer is set."""
        headers = request_headers(call)
        self.request_ids = {0: headers.get("X-Amzn-SageMaker-Inference-Id") or str(uuid.uuid4())}
        self.request_processor = [RequestProcessor(headers)]
        return self.request_processor[0]

    def get_request_id(self, idx: int = 0) -> str | None:
        return (self.request_ids or {}).get(idx)

    def get_request_header(self, idx: int, key: str) -> Any:
        return self._request(idx).get_request_property(key)

    def get_all_request_header(self, idx: int) -> RequestHeaders:
        return self._request(idx).get_request_properties()

    def set_response_content_type(self, idx: int, value: Any) -> None:
        self.set_response_header(idx, "content-type", value)

    def get_response_content_type(self, idx: int) -> Any:
        return self.get_response_headers(idx).get("content-type")

    def set_response_header(self, idx: int, key: str, value: Any) -> None:
        self._request(idx).add_response_property(key, value)

    def get_response_headers(self, idx: int) -> dict[str, Any]:
        return self._request(idx).get_response_headers()

    def set_response_status(self, code: Any = 200, phrase: Any = "", idx: int = 0) -> None:
        if self.request_processor is not None:
            self.request_processor[idx].report_status(code, reason_phrase=phrase)

    def set_all_response_status(self, code: Any = 200, phrase: Any = "") -> None:
        self.set_response_status(code, phrase)

    def get_response_status(self, idx: int) -> tuple[Any, Any]:
        request = self._request(idx)
        return request.get_response_status_code(), request.get_response_status_phrase()

    def _request(self, idx: int) -> RequestProcessor:
        if self.request_processor is None:
            raise RuntimeError("the context has no request while the model loads")
        return self.request_processor[idx]
