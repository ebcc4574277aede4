"""Modules that exist in AWS's images alone and that handlers import there: what stands in for each.

They stand in only where the real package is not installed. What is named in the older toolkit for training
(env, modules, transformer) can be imported and is empty: handlers list it and use nothing of it.
"""

from __future__ import annotations

import logging
from typing import Any

from inference.serving.handlers import standins
from inference.serving.handlers.sagemaker import (
    content_types,
    decoders,
    encoders,
    failures,
    headers,
    npy,
    responses,
    scikit,
)
from inference.serving.handlers.sagemaker.toolkit import default_input_fn, default_output_fn

_TOOLKIT = "sagemaker_inference"
_OLDER = "sagemaker_containers.beta.framework"
_HEADERS = (
    headers.parse_accept,
    headers.read_file,
    headers.remove_crlf,
    headers.retrieve_content_type_header,
    headers.write_file,
)


class DefaultInferenceHandler:
    """The toolkit's default functions, for a handler that calls them."""

    def default_input_fn(self, input_data: Any, content_type: str, context: Any = None) -> Any:
        return default_input_fn(input_data, content_type)

    def default_output_fn(self, prediction: Any, accept: str, context: Any = None) -> Any:
        return default_output_fn(prediction, accept)


def offer() -> None:
    """Let a handler import them."""
    standins.offer("sagemaker-inference", _toolkit())
    standins.offer("sagemaker-containers", _older_toolkit())


def _toolkit() -> dict[str, dict[str, Any]]:
    return {
        f"{_TOOLKIT}.content_types": _content_types(),
        f"{_TOOLKIT}.decoder": {
            "decode": decoders.decode,
            "_json_to_numpy": decoders.read_json,
            "_csv_to_numpy": decoders.read_csv,
            "_npy_to_numpy": npy.read_npy,
            "_npz_to_sparse": npy.read_npz,
        },
        f"{_TOOLKIT}.encoder": {
            "encode": encoders.encode,
            "SUPPORTED_CONTENT_TYPES": encoders.SUPPORTED_CONTENT_TYPES,
            "_array_to_json": encoders.write_json,
            "_array_to_csv": encoders.write_csv,
            "_array_to_npy": encoders.write_npy,
        },
        f"{_TOOLKIT}.errors": {
            "UnsupportedFormatError": failures.UnsupportedFormatError,
            "BaseInferenceToolkitError": failures.BaseInferenceToolkitError,
            "GenericInferenceToolkitError": failures.GenericInferenceToolkitError,
        },
        f"{_TOOLKIT}.utils": {function.__name__: function for function in _HEADERS},
        f"{_TOOLKIT}.logging": {"get_logger": lambda: logging.getLogger("sagemaker-inference")},
        f"{_TOOLKIT}.default_inference_handler": {"DefaultInferenceHandler": DefaultInferenceHandler},
    }


def _older_toolkit() -> dict[str, dict[str, Any]]:
    return {
        f"{_OLDER}.content_types": _content_types(),
        f"{_OLDER}.encoders": {
            "decode": scikit.decode,
            "encode": scikit.encode,
            "json_to_numpy": decoders.read_json,
            "csv_to_numpy": scikit.read_csv,
            "npy_to_numpy": npy.read_npy,
            "array_to_json": encoders.write_json,
            "array_to_csv": scikit.write_csv,
            "array_to_npy": encoders.write_npy,
        },
        f"{_OLDER}.errors": {
            "ClientError": scikit.ClientError,
            "UnsupportedFormatError": scikit.UnsupportedFormat,
        },
        f"{_OLDER}.worker": {"Response": responses.Response},
        f"{_OLDER}.env": {},
        f"{_OLDER}.modules": {},
        f"{_OLDER}.transformer": {},
    }


def _content_types() -> dict[str, Any]:
    return {name: found for name, found in vars(content_types).items() if name.isupper()}
