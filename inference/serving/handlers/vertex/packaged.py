"""The predictors that Google's SDK brings along, for scikit-learn and XGBoost, and what fetches their files.

Their models are pickles: loading one runs what is in it. It is the user's own archive, checked against its
manifest, and it is said in the log all the same; nothing that arrives over the network is ever unpickled.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from inference.serving import log
from inference.serving.errors import shown
from inference.serving.handlers import starting
from inference.serving.handlers.vertex.prediction import Predictor

BST, JOBLIB, PICKLE = "model.bst", "model.joblib", "model.pkl"


def download_model_artifacts(artifact_uri: str) -> None:
    """Put the model's files into the current folder: as links, for a model may be large.

    ValueError for an address in Cloud Storage: what AIP_STORAGE_URI names is downloaded by the runtime, and
    arrives here as a folder.
    """
    if artifact_uri.startswith("gs://"):
        raise ValueError(
            f"{shown(artifact_uri)} is not downloaded here: expected the folder that load was given; "
            "for other buckets put google-cloud-aiplatform[prediction] into inference/requirements.txt"
        )
    starting.link_files(Path(artifact_uri), Path.cwd())


def is_extension_allowed(filename: str, allowed_extensions: Sequence[str] | None) -> bool:
    """Whether a file's name ends as one of these; without any, all do."""
    return allowed_extensions is None or filename.endswith(tuple(allowed_extensions))


class SklearnPredictor(Predictor):
    """model.joblib or model.pkl; instances as one array."""

    def load(self, artifacts_uri: str, **kwargs: Any) -> None:
        download_model_artifacts(artifacts_uri)
        self._model = _unpickled(_first((JOBLIB, PICKLE), kwargs.get("allowed_extensions")))

    def preprocess(self, prediction_input: Any) -> Any:
        numpy: Any = importlib.import_module("numpy")
        return numpy.asarray(prediction_input["instances"])

    def predict(self, instances: Any) -> Any:
        return self._model.predict(instances)

    def postprocess(self, prediction_results: Any) -> Any:
        return {"predictions": prediction_results.tolist()}


class XgboostPredictor(Predictor):
    """model.bst, model.joblib or model.pkl; instances as one DMatrix."""

    def load(self, artifacts_uri: str, **kwargs: Any) -> None:
        self._xgboost: Any = importlib.import_module("xgboost")
        download_model_artifacts(artifacts_uri)
        name = _first((BST, JOBLIB, PICKLE), kwargs.get("allowed_extensions"))
        self._booster = self._loaded(name)

    def _loaded(self, name: str) -> Any:
        if name == BST:
            return self._xgboost.Booster(model_file=name)
        try:
            return _unpickled(name)
        except KeyError:
            # joblib's word for a file that is a Booster's own, under a pickle's name.
            if name == PICKLE:
                raise
            return self._xgboost.Booster(model_file=name)

    def preprocess(self, prediction_input: Any) -> Any:
        return self._xgboost.DMatrix(prediction_input["instances"])

    def predict(self, instances: Any) -> Any:
        return self._booster.predict(instances)

    def postprocess(self, prediction_results: Any) -> Any:
        return {"predictions": prediction_results.tolist()}


def _first(names: tuple[str, ...], allowed: Sequence[str] | None) -> str:
    for name in names:
        if Path(name).exists() and is_extension_allowed(name, allowed):
            return name
    raise ValueError(f"none of {', '.join(names)} is among the model's files and allowed; expected one")


def _unpickled(name: str) -> Any:
    log.event(f"{name} is a pickle: loading it runs the code in it")
    if name == JOBLIB:
        joblib: Any = importlib.import_module("joblib")
        return joblib.load(name)
    pickle: Any = importlib.import_module("pickle")
    with Path(name).open("rb") as file:
        return pickle.load(file)
