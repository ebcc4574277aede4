"""What is importable where torchserve is not installed: the names that handler files use."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, NoReturn

from inference.serving.handlers.torchserve import answers, base_handler, context, labels, metrics


class PT2Backend(StrEnum):
    """torch.compile's backends, by TorchServe's names."""

    EAGER = "eager"
    AOT_EAGER = "aot_eager"
    INDUCTOR = "inductor"
    ONNXRT = "onnxrt"
    IPEX = "ipex"
    OPENVINO = "openvino"
    TENSORRT = "tensorrt"


def send_intermediate_predict_response(*_: Any, **__: Any) -> NoReturn:
    """Refused: TorchServe streams by its own socket, which is not here."""
    raise NotImplementedError(
        "send_intermediate_predict_response is TorchServe's own way to stream, which is not served here: "
        "return the whole answer, or stream with Slipway's own handler"
    )


_STREAM = {"send_intermediate_predict_response": send_intermediate_predict_response}
MODULES: dict[str, dict[str, Any]] = {
    "ts": {"__version__": context.SERVER_VERSION},
    "ts.version": {"__version__": context.SERVER_VERSION},
    "ts.context": {"Context": context.Context, "RequestProcessor": context.RequestProcessor},
    "ts.handler_utils.timer": {"timed": base_handler.timed},
    "ts.handler_utils.utils": _STREAM,
    "ts.metrics.dimension": {"Dimension": metrics.Dimension},
    "ts.metrics.metric_type_enum": {"MetricTypes": metrics.MetricTypes},
    "ts.protocol.otf_message_handler": _STREAM,
    "ts.torch_handler.base_handler": {"BaseHandler": base_handler.BaseHandler},
    "ts.utils.util": {
        "PT2Backend": PT2Backend,
        "PredictionException": answers.PredictionException,
        "list_classes_from_module": labels.list_classes_from_module,
        "load_label_mapping": labels.load_label_mapping,
        "map_class_to_label": labels.map_class_to_label,
    },
}
