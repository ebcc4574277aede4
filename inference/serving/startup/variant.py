"""A lighter variant of the handler's model, made by `optimize`, put in the model's place after load.

`optimized/variant.json` in the model's folder says what it is; optimize/ is what makes it, and nothing of
that is imported here. A call of another form than those it was made from is answered by the model itself.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

from inference.serving import log
from inference.serving.errors import StartError, shown
from inference.serving.predictor import Predictor
from inference.serving.startup import packing

FOLDER = "optimized"
FILE = "variant.json"
NAME = f"{FOLDER}/{FILE}"
PACKED = "packed"
_AGAIN = "or package without it: run `make optimize` again, or with CHOOSE=none"
# As a process that is measured has it: what telemetry would keep open is in no worker that is forked.
_NO_TELEMETRY = "ORT_DISABLE_TELEMETRY"


@dataclass(frozen=True)
class Leaf:
    """An argument inside the arguments of a call: a tensor's type and the bounds of its axes (most None: no
    bound), or a constant."""

    dtype: str = ""
    axes: tuple[tuple[int, int | None], ...] = ()
    constant: Any = None

    def takes(self, value: Any) -> bool:
        """Whether a call's value is one that the variant was made for."""
        if not self.dtype:
            return type(value) is type(self.constant) and bool(value == self.constant)
        if str(getattr(value, "dtype", "")) != self.dtype or len(value.shape) != len(self.axes):
            return False
        if value.device.type != "cpu":
            return False
        return all(
            low <= size and (most is None or size <= most)
            for size, (low, most) in zip(value.shape, self.axes, strict=True)
        )


@dataclass(frozen=True)
class Form:
    """The calls that a compiled variant takes and the answers that it gives, as torch's pytrees."""

    arguments: str
    leaves: tuple[Leaf, ...]
    answer: str
    # The places of the answer's tensors among its leaves; the others are constants.
    tensors: tuple[int, ...]
    constants: tuple[Any, ...]
    # The inputs of a file that names them: name, and which leaf it is.
    inputs: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True)
class Variant:
    """What stands in variant.json.

    `attribute` is the handler's, `made_for` the digest of model and code, `needs` the versions of packages,
    or a series as "5.23.*", `processor` the one that machine code was made for. `batch_size` is the one at
    which it did most.
    """

    kind: str
    attribute: str
    told: str
    batch_size: int
    file: str = ""
    made_for: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)
    processor: str = ""
    form: Form | None = None
    format: int = 1

    @property
    def packs(self) -> bool:
        """Whether padding costs nothing, so that what is asked together need not be of about one length."""
        return self.kind == PACKED


def write(variant: Variant, folder: Path) -> None:
    (folder / FILE).write_text(json.dumps(asdict(variant), indent=1) + "\n")


def read(model_dir: Path) -> Variant | None:
    """The variant in a model's folder; None where there is none. StartError where it cannot be read."""
    path = model_dir / NAME
    return from_file(path) if path.is_file() else None


def from_file(path: Path) -> Variant:
    """What a variant.json says. StartError where it cannot be read."""
    try:
        document = json.loads(path.read_text())
        if document["format"] != 1:
            raise ValueError(f"format {shown(document['format'])}; expected 1")
        form = document.pop("form")
        return Variant(**document, form=_form(form) if form else None)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise StartError(f"{NAME}: {error}; mend it, {_AGAIN}") from None


def _form(document: dict[str, Any]) -> Form:
    leaves = tuple(
        Leaf(one["dtype"], tuple((low, most) for low, most in one["axes"]), one["constant"])
        for one in document["leaves"]
    )
    return Form(
        document["arguments"],
        leaves,
        document["answer"],
        tuple(document["tensors"]),
        tuple(document["constants"]),
        tuple((name, place) for name, place in document["inputs"]),
    )


def apply(handler: Any, model_dir: Path, threads: int) -> Variant | None:
    """Put the variant that was packaged in the place of the loaded model, and log which; None without one.

    `threads` are those that it may compute with, 0 as many as torch has. StartError, with what to do, where
    it does not load here.
    """
    found = read(model_dir)
    if found is None:
        return None
    place(found, handler, model_dir / FOLDER, threads)
    log.event(f"{NAME}: served as {found.kind} in the place of {found.attribute}: {found.told}")
    return found


def place(variant: Variant, handler: Any, folder: Path, threads: int) -> None:
    """Put a variant whose files lie in `folder` in its place. StartError as apply."""
    _check(variant)
    model = getattr(handler, variant.attribute, None)
    if model is None:
        raise StartError(f"{NAME}: the handler has no {shown(variant.attribute)} after load; {_AGAIN}")
    try:
        lighter = _LOADERS[variant.kind](variant, model, folder, threads)
        setattr(handler, variant.attribute, lighter)
    except Exception as error:
        raise StartError(
            f"{NAME}: {variant.kind} does not load: {type(error).__name__}: {error}; {_AGAIN}"
        ) from error


def suited(predictor: Predictor, variant: Variant) -> Predictor:
    """The predictor of a handler that has this variant: asked in calls that are best for it."""
    length = None if variant.packs else predictor.length
    return replace(predictor, length=length, batch_size=variant.batch_size)


def processor() -> str:
    """What machine code is made for: the architecture, and the instructions that torch found."""
    torch: Any = sys.modules["torch"]
    return f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}"


def _check(variant: Variant) -> None:
    if variant.kind not in _LOADERS:
        raise StartError(
            f"{NAME}: kind is {shown(variant.kind)}; expected one of {', '.join(_LOADERS)}; {_AGAIN}"
        )
    if "torch" not in sys.modules:
        raise StartError(f"{NAME}: the handler does not use torch; {_AGAIN}")
    for package, wanted in variant.needs.items():
        here = version(package)
        if not _is_of(here, wanted):
            fix = f"put {package}=={wanted.partition('+')[0]} into inference/requirements.txt"
            raise StartError(
                f"{NAME}: needs {package} {wanted}, and here is {here or 'none'}: {fix}, {_AGAIN}"
            )
    if variant.processor and variant.processor != processor():
        raise StartError(
            f"{NAME}: was compiled for {variant.processor}, and this is {processor()}: optimize on a machine "
            f"like those that serve, {_AGAIN}"
        )


def _is_of(here: str, wanted: str) -> bool:
    return here.startswith(wanted[:-1]) if wanted.endswith(".*") else here == wanted


def version(package: str) -> str:
    """The version of a package that is here, "" where it is not."""
    try:
        # torch's own name for its build, which the package's need not have.
        return str(sys.modules["torch"].__version__) if package == "torch" else metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def series(package: str) -> str:
    """The version without its last part, as a requirement has it: 5.23.*, where what is asked of a package
    changes with its larger steps."""
    return ".".join([*version(package).split(".")[:2], "*"])


class Fallback:
    """The model itself, for calls that its variant does not take; the log says once that there are such."""

    def __init__(self, model: Any) -> None:
        self._model, self._told = model, False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self._told:
            log.event(f"{NAME}: a call of another form than the samples': the model itself answers such")
            self._told = True
        return self._model(*args, **kwargs)


class Substitute:
    """In the model's place: calls of the form it was made for go to the variant, others to the model.

    Whatever else is asked of it is the model's own.
    """

    def __init__(self, model: Any, lighter: Callable[..., Any], form: Form) -> None:
        self._model, self._lighter, self._fallback = model, lighter, Fallback(model)
        trees = sys.modules["torch"].utils._pytree
        self._flatten, self._arguments = trees.tree_flatten, trees.treespec_loads(form.arguments)
        self._leaves = form.leaves

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        leaves, spec = self._flatten((args, kwargs))
        fits = spec == self._arguments and all(map(Leaf.takes, self._leaves, leaves))
        return (self._lighter if fits else self._fallback)(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def _compiled(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    torch: Any = sys.modules["torch"]
    return torch.compile(model, dynamic=True)


def _inductor(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    inductor: Any = import_module("torch._inductor")
    return _substituted(variant, model, inductor.aoti_load_package(str(folder / variant.file)))


def _int8(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    torch: Any = sys.modules["torch"]
    quantization: Any = import_module("torch.ao.quantization")
    return quantization.quantize_dynamic(model, {torch.nn.Linear}, torch.qint8)


def _bf16(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    """A copy of the model in bfloat16 that takes and gives float32."""
    torch: Any = sys.modules["torch"]
    trees = torch.utils._pytree
    half = import_module("copy").deepcopy(model).to(torch.bfloat16)

    def cast(tree: Any, of: Any, to: Any) -> Any:
        return trees.tree_map(
            lambda one: one.to(to) if isinstance(one, torch.Tensor) and one.dtype == of else one, tree
        )

    half.register_forward_pre_hook(
        lambda _, args, kwargs: cast((args, kwargs), torch.float32, torch.bfloat16), with_kwargs=True
    )
    half.register_forward_hook(lambda _, args, answer: cast(answer, torch.bfloat16, torch.float32))
    return half


def _packed(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    return packing.Packed(model, packing.view(model), Fallback(model))


def _onnx(variant: Variant, model: Any, folder: Path, threads: int) -> Any:
    assert variant.form is not None
    session = _session(folder / variant.file, threads)
    return _substituted(variant, model, _of_session(session, variant.form))


def _session(path: Path, threads: int) -> Any:
    torch: Any = sys.modules["torch"]
    os.environ[_NO_TELEMETRY] = "1"
    runtime: Any = import_module("onnxruntime")
    options = runtime.SessionOptions()
    # One thread is the caller's own: there is none to be lost by a fork.
    options.intra_op_num_threads = threads or torch.get_num_threads()
    options.inter_op_num_threads = 1
    # Threads that wait without sleeping take the cores from the other workers.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _of_session(session: Any, form: Form) -> Callable[..., Any]:
    torch: Any = sys.modules["torch"]
    trees = torch.utils._pytree
    spec, size = trees.treespec_loads(form.answer), len(form.tensors) + len(form.constants)
    others = [place for place in range(size) if place not in form.tensors]

    def call(*args: Any, **kwargs: Any) -> Any:
        leaves = trees.tree_leaves((args, kwargs))
        fed = {name: leaves[place].detach().contiguous().numpy() for name, place in form.inputs}
        answer: list[Any] = [None] * size
        for place, found in zip(form.tensors, session.run(None, fed), strict=True):
            answer[place] = torch.from_numpy(found)
        for place, constant in zip(others, form.constants, strict=True):
            answer[place] = constant
        return trees.tree_unflatten(answer, spec)

    return call


def _substituted(variant: Variant, model: Any, lighter: Callable[..., Any]) -> Substitute:
    assert variant.form is not None
    return Substitute(model, lighter, variant.form)


_LOADERS: Mapping[str, Callable[[Variant, Any, Path, int], Any]] = {
    "compile": _compiled,
    "aot-inductor": _inductor,
    "int8": _int8,
    "bf16": _bf16,
    PACKED: _packed,
    "onnxruntime": _onnx,
    "onnxruntime-int8": _onnx,
}
KINDS: Sequence[str] = tuple(_LOADERS)
