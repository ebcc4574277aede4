"""The kinds of variant: what each needs, how it is made, and whether it is chosen without being asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from inference.serving.optimize.exporting import Exported, exported
from inference.serving.optimize.recording import NotOptimized, Recording
from inference.serving.startup import packing
from inference.serving.startup.packed_forward import NotPacked
from inference.serving.startup.variant import PACKED, Form, processor, series, version

EAGER = "eager"  # the model as it is: what the others are measured against
_ONNX = "model.onnx"
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
_CPU_INFO = Path("/proc/cpuinfo")


@dataclass(frozen=True)
class Made:
    """What a kind leaves for variant.json, and the bytes of weights that it computes with; `needs` are the
    versions of packages."""

    size: int
    file: str = ""
    form: Form | None = None
    needs: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""


@dataclass(frozen=True)
class Kind:
    """`make` writes into a folder. `note` is what a person should know whatever the figures say; `asked`,
    that it is chosen by its name alone."""

    name: str
    make: Callable[[Recording, Path], Made]
    note: Callable[[], str] = lambda: ""
    asked: bool = False


def weights(module: Any) -> int:
    """The bytes of a module's parameters and buffers."""
    return sum(one.numel() * one.element_size() for one in [*module.parameters(), *module.buffers()])


def _compile(recording: Recording, folder: Path) -> Made:
    _check_compiler()
    return Made(weights(recording.module))


def _inductor(recording: Recording, folder: Path) -> Made:
    _check_compiler()
    inductor: Any = importlib.import_module("torch._inductor")
    graph = exported(recording)
    path = folder / "model.pt2"
    inductor.aoti_compile_and_package(graph.program, package_path=str(path))
    return Made(path.stat().st_size, path.name, graph.form, {"torch": version("torch")}, processor())


def _int8(recording: Recording, folder: Path) -> Made:
    torch: Any = sys.modules["torch"]
    linear = [one for one in recording.module.modules() if isinstance(one, torch.nn.Linear)]
    if not linear:
        raise NotOptimized("the model has no linear layers, which are what int8 would be for")
    spared = sum(one.weight.numel() * (one.weight.element_size() - 1) for one in linear)
    return Made(weights(recording.module) - spared)


def _bf16(recording: Recording, folder: Path) -> Made:
    floats = sum(one.numel() * 2 for one in recording.module.parameters() if one.is_floating_point())
    return Made(weights(recording.module) - floats)


def _packed(recording: Recording, folder: Path) -> Made:
    try:
        packing.view(recording.module, long=True)
    except NotPacked as reason:
        raise NotOptimized(str(reason)) from None
    return Made(weights(recording.module), needs={"transformers": series("transformers")})


def _onnx(recording: Recording, folder: Path) -> Made:
    _check_importable("onnxruntime", "onnx", "onnxscript")
    graph = exported(recording)
    _write_onnx(graph, folder / _ONNX)
    return _of_onnx(folder, graph)


def _onnx_int8(recording: Recording, folder: Path) -> Made:
    _check_importable("onnxruntime", "onnx", "onnxscript")
    graph = exported(recording)
    whole = folder / "whole.onnx"
    _write_onnx(graph, whole)
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    quantization.quantize_dynamic(
        str(whole), str(folder / _ONNX), per_channel=True, weight_type=quantization.QuantType.QInt8
    )
    for path in folder.glob("whole.onnx*"):
        path.unlink()
    return _of_onnx(folder, graph)


def _write_onnx(graph: Exported, path: Path) -> None:
    torch: Any = sys.modules["torch"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter's own parts
        torch.onnx.export(graph.program, dynamo=True, verbose=False).save(str(path))


def _of_onnx(folder: Path, graph: Exported) -> Made:
    runtime: Any = importlib.import_module("onnxruntime")
    session = runtime.InferenceSession(str(folder / _ONNX), providers=["CPUExecutionProvider"])
    places = {name: place for place, name in enumerate(graph.program.graph_signature.user_inputs)}
    inputs = tuple((one.name, places[one.name]) for one in session.get_inputs())
    if len(session.get_outputs()) != len(graph.form.tensors):
        raise NotOptimized("the ONNX graph has not as many outputs as the model")
    size = sum(path.stat().st_size for path in folder.glob(f"{_ONNX}*"))
    return Made(size, _ONNX, replace(graph.form, inputs=inputs), {"onnxruntime": version("onnxruntime")})


def _check_compiler() -> None:
    compiler = os.environ.get("CXX", "g++")
    if shutil.which(compiler) is None:
        raise NotOptimized(f"needs a C++ compiler, and {compiler} is not here (Debian: apt-get install g++)")


def _check_importable(*packages: str) -> None:
    missing = [one for one in packages if importlib.util.find_spec(one) is None]
    if missing:
        where = "put onnxruntime into inference/requirements.txt" if "onnxruntime" in missing else ""
        here = [one for one in missing if one != "onnxruntime"]
        made = f"python -m pip install {' '.join(here)} where it is made" if here else ""
        raise NotOptimized(f"needs {', '.join(missing)}: {'; '.join(filter(None, (where, made)))}")


def _bf16_note() -> str:
    try:
        flags = {word for line in _CPU_INFO.read_text().splitlines() for word in line.split()}
    except OSError:
        return ""
    return "" if flags & _BF16_FLAGS else "this processor has no hardware for it"


KINDS = (
    Kind("compile", _compile, lambda: "compiles anew at every start; aot-inductor is the same, ahead", True),
    Kind("aot-inductor", _inductor),
    Kind("int8", _int8),
    Kind("bf16", _bf16, _bf16_note),
    Kind(PACKED, _packed),
    Kind("onnxruntime", _onnx),
    Kind("onnxruntime-int8", _onnx_int8),
)
NAMES = tuple(kind.name for kind in KINDS)
ASKED = frozenset(kind.name for kind in KINDS if kind.asked)


def note(name: str) -> str:
    """What a person should know of a kind on this machine; "" for the model itself."""
    return next((kind.note() for kind in KINDS if kind.name == name), "")
