"""What is importable where Google's SDK is not installed: the names that predictor and handler files use."""

from __future__ import annotations

from typing import Any

from inference.serving.handlers.vertex import packaged, prediction

_SDK = "google.cloud.aiplatform"
_ROUTINES = {
    found.__name__: found
    for found in (
        prediction.DefaultSerializer,
        prediction.Handler,
        prediction.PredictionHandler,
        prediction.Predictor,
        prediction.Serializer,
    )
}
_HEADERS = {
    found.__name__: found
    for found in (
        prediction.get_accept_from_headers,
        prediction.get_content_type_from_headers,
        prediction.parse_accept_header,
    )
}
_CONSTANTS = {
    "DEFAULT_AIP_HTTP_PORT": 8080,
    "AIP_HTTP_PORT": "AIP_HTTP_PORT",
    "AIP_HEALTH_ROUTE": "AIP_HEALTH_ROUTE",
    "AIP_PREDICT_ROUTE": "AIP_PREDICT_ROUTE",
    "AIP_STORAGE_URI": "AIP_STORAGE_URI",
    "ANY_ACCEPT_TYPE": "*/*",
    "DEFAULT_ACCEPT_VALUE": prediction.JSON,
    "MODEL_FILENAME_BST": packaged.BST,
    "MODEL_FILENAME_JOBLIB": packaged.JOBLIB,
    "MODEL_FILENAME_PKL": packaged.PICKLE,
}
_FILES = {
    "download_model_artifacts": packaged.download_model_artifacts,
    "is_extension_allowed": packaged.is_extension_allowed,
}
_SKLEARN = {"SklearnPredictor": packaged.SklearnPredictor}
_XGBOOST = {"XgboostPredictor": packaged.XgboostPredictor}

MODULES: dict[str, dict[str, Any]] = {
    f"{_SDK}.constants.prediction": _CONSTANTS,
    f"{_SDK}.prediction": _ROUTINES,
    f"{_SDK}.prediction.handler": {name: _ROUTINES[name] for name in ("Handler", "PredictionHandler")},
    f"{_SDK}.prediction.handler_utils": _HEADERS,
    f"{_SDK}.prediction.predictor": {"Predictor": prediction.Predictor},
    f"{_SDK}.prediction.serializer": {name: _ROUTINES[name] for name in ("DefaultSerializer", "Serializer")},
    f"{_SDK}.prediction.sklearn": _SKLEARN,
    f"{_SDK}.prediction.sklearn.predictor": _SKLEARN,
    f"{_SDK}.prediction.xgboost": _XGBOOST,
    f"{_SDK}.prediction.xgboost.predictor": _XGBOOST,
    f"{_SDK}.utils.prediction_utils": _FILES,
}
