"""What FROM holds, in the runtime's words; a pickled model without code, which it would not take, in ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.importing import ImportingError, pickles, runtime, sources
from deploy.importing.runtime import Reading
from deploy.importing.sources import Source

SKLEARN, XGBOOST = "SKLEARN", "XGBOOST"
# Shapes of models that no code comes with.
BARE = {"PIPELINE", "TORCHSCRIPT", SKLEARN, XGBOOST}
_SHAPES = {pickles.SKLEARN: SKLEARN, pickles.XGBOOST: XGBOOST}
_SAID = {
    SKLEARN: "a scikit-learn model, as Vertex AI's SklearnPredictor serves it",
    XGBOOST: "an XGBoost model, as Vertex AI's XgboostPredictor serves it",
}
_BOOSTER = ".bst"
_PICKLES = (_BOOSTER, ".joblib", ".pkl", ".pickle")
_EXPECTED = (
    "a SageMaker source folder or model.tar.gz (inference.py with model_fn), a Vertex AI predictor.py, a "
    "TorchServe .mar or its files, a Hugging Face repository (handler.py, or config.json with weights), a "
    "TorchScript model.pt, or model.joblib, model.pkl, model.bst of scikit-learn or XGBoost"
)


@dataclass(frozen=True)
class Recognised:
    """What is there, and its files: those of a .mar that lay among them are unpacked."""

    reading: Reading
    source: Source


def recognised(source: Source, wanted: str = "") -> Recognised:
    """The one handler or model that is meant; `wanted` is HANDLER=. Raises ImportingError that names all."""
    reading = _only(_candidates(source, wanted), source)
    if reading.file.endswith(".mar"):
        return recognised(sources.with_archive(source, reading.file))
    return Recognised(reading, source)


def _candidates(source: Source, wanted: str) -> list[Reading]:
    pickled = [each for name, path in source.files.items() for each in _pickled(name, path)]
    if chosen := [each for each in pickled if wanted in _names(each)]:
        return chosen
    found = runtime.readings(source.files, _view(source), wanted)
    # Beside code a pickle is what the code loads.
    return found if wanted or any(each.shape not in BARE for each in found) else [*found, *pickled]


def _only(found: list[Reading], source: Source) -> Reading:
    if len(found) == 1:
        return found[0]
    if not found:
        saved = [name for name in source.files if "/" not in name and name.endswith((".pt", ".pth"))]
        why = f" ({', '.join(saved)} is no TorchScript, so code that loads it is needed)" if saved else ""
        raise ImportingError(f"nothing that can be served is recognised{why}; expected {_EXPECTED}")
    choices = " or ".join(dict.fromkeys(f"HANDLER={each.choice}" for each in found))
    raise ImportingError(
        f"more than one could be meant: {'; '.join(each.text for each in found)}; say which: {choices}"
    )


def _pickled(name: str, path: Path) -> list[Reading]:
    """The readings of a file of the root that may be a packaged model."""
    if "/" in name or path.suffix not in _PICKLES:
        return []
    kinds = (pickles.XGBOOST,) if path.suffix == _BOOSTER else pickles.looked_at(path).kinds
    shapes = [(_SHAPES[kind], name if len(kinds) == 1 else f"{name}:{kind}") for kind in kinds]
    return [Reading(shape, name, choice, f"{name}: {_SAID[shape]}") for shape, choice in shapes]


def _names(reading: Reading) -> set[str]:
    """What HANDLER= may call a pickled model."""
    return {reading.choice, f"{reading.file}:{reading.shape.lower()}", reading.shape.lower()}


def _view(source: Source) -> Path:
    return source.scratch / f"seen-{len(list(source.scratch.iterdir()))}"


def confirmed(found: Recognised, laid: Mapping[str, Path], written: str = "") -> str:
    """What [serving] handler must say for the runtime to take what is laid out for what was recognised; ""
    where it does by itself.

    `laid` are the files as the archive will have them; `written` is the entry file that was written for a
    pickled model. Raises ImportingError.
    """
    expected = ("VERTEX", written) if written else (found.reading.shape, found.reading.file)
    taken = runtime.readings(laid, _view(found.source))
    if [(each.shape, each.file) for each in taken] == [expected]:
        return ""
    choice = written or found.reading.choice
    runtime.readings(laid, _view(found.source), choice)
    return choice
