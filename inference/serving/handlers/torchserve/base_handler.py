"""BaseHandler, which most TorchServe handlers extend: it loads a model and runs it, tensors in and out.

Weights are read without unpickling anything but tensors. torch is imported when a model is loaded.
"""

from __future__ import annotations

import importlib
import logging
import os
import time
from abc import ABC
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from inference.serving.handlers.torchserve.labels import list_classes_from_module, load_label_mapping

_LOGGER = logging.getLogger(__name__)


def timed(function: Callable[..., Any]) -> Callable[..., Any]:
    """Measure a handler's method where model-config.yaml has `handler: profile: true`."""

    @wraps(function)
    def measured(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = getattr(self.context, "model_yaml_config", None) or {}
        if not (config.get("handler") or {}).get("profile"):
            return function(self, *args, **kwargs)
        started = time.perf_counter()
        result = function(self, *args, **kwargs)
        took_ms = (time.perf_counter() - started) * 1000
        self.context.metrics.add_time(f"ts_handler_{function.__name__}", took_ms)
        return result

    return measured


class BaseHandler(ABC):  # noqa: B024 - handlers extend it without any method of their own
    """initialize once; then handle a list of requests: preprocess, inference, postprocess."""

    def __init__(self) -> None:
        self.model: Any = None
        self.mapping: dict[str, str] | None = None
        self.device: Any = None
        self.initialized = False
        self.context: Any = None
        self.model_pt_path: str | None = None
        self.manifest: Any = None
        self.map_location: str | None = None
        self.explain = False
        self.target = 0
        self.profiler_args: dict[str, Any] = {}
        self.model_yaml_config: dict[str, Any] = {}

    def initialize(self, context: Any) -> None:
        """Load the manifest's model: a class of its own with a state dict, TorchScript, or ONNX."""
        properties, model = context.system_properties, context.manifest["model"]
        self.manifest = context.manifest
        self.model_yaml_config = context.model_yaml_config or {}
        self._choose_device(properties.get("gpu_id"))
        folder = properties["model_dir"]
        if "serializedFile" in model:
            self.model_pt_path = str(Path(folder, model["serializedFile"]))
        self.model = self._loaded(folder, model.get("modelFile", ""))
        self._compile()
        self.mapping = load_label_mapping(str(Path(folder, "index_to_name.json")))
        self.initialized = True

    def _choose_device(self, gpu_id: Any) -> None:
        torch: Any = importlib.import_module("torch")
        on_gpu = gpu_id is not None and torch.cuda.is_available()
        self.map_location = "cuda" if on_gpu else "cpu"
        self.device = torch.device(f"cuda:{gpu_id}" if on_gpu else "cpu")

    def _loaded(self, folder: str, model_file: str) -> Any:
        path = self.model_pt_path or ""
        if model_file:
            model = self._load_pickled_model(folder, model_file, self.model_pt_path)
            model.to(self.device)
            return model.eval()
        if path.endswith(".pt"):
            return self._load_torchscript_model(path).eval()
        if path.endswith(".onnx"):
            return _onnx_session(path, self.map_location)
        raise RuntimeError(
            f"No model weights could be loaded: serializedFile is {path or 'missing'}; expected a modelFile "
            "with a state dict, TorchScript as .pt, or .onnx"
        )

    def _load_torchscript_model(self, model_pt_path: str) -> Any:
        torch: Any = importlib.import_module("torch")
        return torch.jit.load(model_pt_path, map_location=self.device)

    def _load_pickled_model(self, model_dir: str, model_file: str, model_pt_path: str | None) -> Any:
        if not Path(model_dir, model_file).is_file():
            raise RuntimeError(f"Missing the model file {model_file}")
        classes = list_classes_from_module(importlib.import_module(model_file.partition(".")[0]))
        if len(classes) != 1:
            raise ValueError(f"{model_file}: expected one class as model definition, found {classes}")
        model: Any = classes[0]()
        if model_pt_path:
            torch: Any = importlib.import_module("torch")
            state = torch.load(model_pt_path, map_location=self.device, weights_only=True)
            model.load_state_dict(state)
        return model

    def _compile(self) -> None:
        options = _compile_options(self.model_yaml_config.get("pt2"))
        if options is None:
            return
        torch: Any = importlib.import_module("torch")
        try:
            self.model = torch.compile(self.model, **options)
        except Exception as error:  # as TorchServe: slower is better than not at all
            _LOGGER.warning("torch.compile(%s) failed, the model stays as it is: %s", options, error)

    @timed
    def preprocess(self, data: Any) -> Any:
        torch: Any = importlib.import_module("torch")
        return torch.as_tensor(data, device=self.device)

    @timed
    def inference(self, data: Any, *args: Any, **kwargs: Any) -> Any:
        torch: Any = importlib.import_module("torch")
        with torch.inference_mode():
            return self.model(data.to(self.device), *args, **kwargs)

    @timed
    def postprocess(self, data: Any) -> Any:
        return data.tolist()

    def handle(self, data: Any, context: Any) -> Any:
        """The three steps; for a request with the header `explain: True` or `describe: True`, that."""
        started = time.time()
        self.context = context
        output = [self.describe_handle()] if self._is_describe() else self._answered(data)
        context.metrics.add_time("HandlerTime", round((time.time() - started) * 1000, 2), None, "ms")
        return output

    def _answered(self, data: Any) -> Any:
        prepared = self.preprocess(data)
        if self._is_explain():
            return self.explain_handle(prepared, data)
        return self.postprocess(self.inference(prepared))

    def explain_handle(self, data_preprocess: Any, raw_data: Any) -> Any:
        row = raw_data[0] if isinstance(raw_data[0], dict) else {}
        inputs = row.get("data") or row.get("body")
        return self.get_insights(data_preprocess, inputs, row.get("target") or 0)

    def get_insights(self, tensor_data: Any, inputs: Any, target: Any = 0) -> Any:
        """What a handler that explains itself overrides."""
        raise NotImplementedError(f"{type(self).__name__} has no get_insights")

    def _is_explain(self) -> bool:
        self.explain = self.explain or self._asks("explain")
        return self._asks("explain")

    def _is_describe(self) -> bool:
        return self._asks("describe")

    def _asks(self, header: str) -> bool:
        return bool(self.context) and self.context.get_request_header(0, header) == "True"

    def describe_handle(self) -> Any:
        return None

    def get_device(self) -> Any:
        return self.device


def _compile_options(pt2: Any) -> dict[str, Any] | None:
    """What torch.compile is given, by model-config.yaml's pt2; None where it is not asked for."""
    if not pt2:
        return None
    if isinstance(pt2, str):
        return {"backend": pt2}
    if "compile" not in pt2:
        return None if "export" in pt2 else dict(pt2)
    options = dict(pt2["compile"])
    return options if options.pop("enable", False) is True else None


def _onnx_session(path: str, map_location: str | None) -> Any:
    runtime: Any = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    providers = ["CUDAExecutionProvider"] if map_location == "cuda" else []
    return runtime.InferenceSession(
        path, providers=[*providers, "CPUExecutionProvider"], sess_options=options
    )
