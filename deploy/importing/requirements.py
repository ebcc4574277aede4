"""inference/requirements.txt of a project that had none of its own, or one for another image.

What the old image brought is named here, as far as the code imports it: nothing else installs it. A pin that
differs from what Slipway is tested with is taken out, and said: the two cannot be installed together.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from deploy.importing import pickles
from deploy.importing.layout import REQUIREMENTS, Layout
from deploy.importing.recognising import SKLEARN, XGBOOST
from deploy.importing.runtime import KIT, Reading

_PIN = re.compile(r"\s*([A-Za-z0-9._-]+)(\[[^\]]*\])?\s*==\s*([^\s;#*]+)\s*(;[^#]*)?(#.*)?")
_NAMED = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)")
# There wherever the runtime is: its own needs, and what it stands in for.
_THERE = {
    *("numpy", "orjson", "httptools", "uvloop", "prometheus_client", "redis", "simdjson"),
    *("ts", "sagemaker_inference", "sagemaker_containers", "google", "fastapi", "starlette"),
}
# Modules that serving images brought, and the packages that have them.
_PACKAGES = {
    **{"sklearn": "scikit-learn", "PIL": "pillow", "cv2": "opencv-python-headless", "yaml": "pyyaml"},
    **{"sentence_transformers": "sentence-transformers", "skimage": "scikit-image", "bs4": "beautifulsoup4"},
    **{
        name: name
        for name in (
            *("torch", "torchvision", "torchaudio", "torchtext", "transformers", "tokenizers", "diffusers"),
            *("accelerate", "safetensors", "pandas", "scipy", "joblib", "xgboost", "lightgbm", "catboost"),
            *("tensorflow", "onnxruntime", "requests", "boto3", "nltk", "spacy", "captum", "timm", "librosa"),
        )
    },
}
_OF_SHAPE = {
    "PIPELINE": ("transformers", "torch"),
    "TORCHSCRIPT": ("torch",),
    SKLEARN: ("scikit-learn", "joblib"),
    XGBOOST: ("xgboost", "joblib"),
}
_TORCHSERVE, _CONFIGS = "ts.torch_handler", (".yaml", ".yml")


@dataclass(frozen=True)
class Requirements:
    """The file's text, and a sentence for each thing that a person should know of it."""

    text: str
    said: tuple[str, ...]


def written(reading: Reading, layout: Layout) -> Requirements:
    """What there was, with what is missing in it."""
    own = _lines(layout.code.get(REQUIREMENTS))
    kept = [_unpinned(line) for line in own]
    unpinned = [line for line, now in zip(own, kept, strict=True) if line != now]
    known, strange = _missing(reading, layout, {_normal(line) for line in own})
    said = []
    if unpinned:
        said.append(
            f"requirements.txt: {', '.join(line.strip() for line in unpinned)}: the pin is taken out, "
            "as the version that Slipway is tested with is another: try the handler with it"
        )
    if known:
        said.append(f"requirements.txt: {', '.join(known)} added, which the old image brought")
    if strange:
        said.append(f"requirements.txt: put in the packages of {', '.join(strange)}, which the code imports")
    version = _sklearn(reading, layout)
    if version:
        said.append(f"the model was saved by scikit-learn {version}: another version may read it otherwise")
    return Requirements("".join(f"{line}\n" for line in [*kept, *known]), tuple(said))


def _lines(path: Path | None) -> list[str]:
    return path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path else []


def _unpinned(line: str) -> str:
    """The line, or where its pin is not the kit's, the package by its name alone."""
    pin = _PIN.fullmatch(line)
    if not pin or _pins().get(_normal(line), pin[3]) == pin[3]:
        return line
    return f"{pin[1]}{pin[2] or ''}{f' {pin[4].strip()}' if pin[4] else ''}  # was =={pin[3]}"


@lru_cache
def _pins() -> dict[str, str]:
    """The versions that the kit installs."""
    found = (_PIN.fullmatch(line) for line in _lines(KIT / "constraints.txt"))
    return {_normal(pin[1]): pin[3] for pin in found if pin}


def _normal(line: str) -> str:
    named = _NAMED.match(line)
    return re.sub(r"[-_.]+", "-", named[1]).lower() if named else ""


def _missing(reading: Reading, layout: Layout, named: set[str]) -> tuple[list[str], list[str]]:
    """The packages, and the modules of packages that are not known here, that no line names."""
    own = {name.partition("/")[0].removesuffix(".py") for name in layout.code}
    imported = set(_imports(layout.code)) - own - _THERE - sys.stdlib_module_names
    packages = {_PACKAGES[module] for module in imported if module in _PACKAGES}
    packages |= set(_OF_SHAPE.get(reading.shape, ())) | _of_torchserve(reading, layout)
    strange = {module for module in imported - _PACKAGES.keys() if _normal(module) not in named}
    return sorted(package for package in packages if package not in named), sorted(strange)


def _of_torchserve(reading: Reading, layout: Layout) -> set[str]:
    if reading.shape != "TORCHSERVE":
        return set()
    texts = (path.read_bytes() for name, path in layout.code.items() if name.endswith(".py"))
    on_torch = {"torch"} if any(_TORCHSERVE.encode() in text for text in texts) else set()
    return on_torch | ({"pyyaml"} if any(name.endswith(_CONFIGS) for name in layout.model) else set())


def _sklearn(reading: Reading, layout: Layout) -> str:
    models = (path for name, path in layout.model.items() if name in ("model.joblib", "model.pkl"))
    found = (pickles.looked_at(path).sklearn for path in models) if reading.shape == SKLEARN else ()
    return next(filter(None, found), "")


def _imports(code: Mapping[str, Path]) -> Iterator[str]:
    """The top-level names of modules that the code needs; what it can do without, in a try, is left out."""
    for name, path in code.items():
        if name.endswith(".py"):
            try:
                yield from _of(ast.parse(path.read_bytes()).body)
            except (SyntaxError, ValueError, RecursionError):  # packaging says so, with its place
                continue


def _of(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]
        elif not isinstance(node, ast.Try):
            yield from _of(ast.iter_child_nodes(node))
