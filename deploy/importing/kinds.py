"""What a person is told of each kind of handler: an example request, and what its old server was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy.importing.recognising import SKLEARN, XGBOOST


@dataclass(frozen=True)
class Kind:
    """`sample` is a line of samples.jsonl; `environment` are the old server's own variables that still count,
    each with what it does; `replaced` those that something else says here."""

    sample: str
    environment: Mapping[str, str] = field(default_factory=dict)
    replaced: str = ""


_INSTANCES = '{"instances": [[5.1, 3.5, 1.4, 0.2]]}'
_INPUTS = '{"inputs": "a text"}'
KINDS = {
    "SLIPWAY": Kind("[5.1, 3.5, 1.4, 0.2]"),
    "SAGEMAKER": Kind(
        "[[5.1, 3.5, 1.4, 0.2]]",
        {
            "SAGEMAKER_SERVING_MODULE": "which of AWS's images fills in the functions that the file lacks",
            "SAGEMAKER_DEFAULT_INVOCATIONS_ACCEPT": "the content type of answers where none is asked for",
        },
        "SAGEMAKER_PROGRAM named the entry file: it is known by what it holds, or by [serving] handler",
    ),
    "TORCHSCRIPT": Kind("[[5.1, 3.5, 1.4, 0.2]]"),
    "VERTEX": Kind(
        _INSTANCES,
        {},
        "PREDICTOR_MODULE and _CLASS named the class: it is known by its base, or by [serving] handler",
    ),
    "VERTEX_HANDLER": Kind(
        _INSTANCES,
        {},
        "HANDLER_MODULE and _CLASS named the class: it is known by its base, or by [serving] handler",
    ),
    SKLEARN: Kind(_INSTANCES),
    XGBOOST: Kind(_INSTANCES),
    "TORCHSERVE": Kind(
        '{"data": [5.1, 3.5, 1.4, 0.2]}',
        {
            "TS_SERVICE_ENVELOPE": "body or json; service_envelope of a config.properties counts as well",
            "TS_DECODE_INPUT_REQUEST": "false: the handler gets bytes",
        },
        "config.properties: addresses, workers and queues are [serving]'s",
    ),
    "ENDPOINT_HANDLER": Kind(_INPUTS),
    "PIPELINE": Kind(
        _INPUTS,
        {
            "HF_TASK": "the pipeline's task, where config.json's architecture does not say it",
            "HF_TRUST_REMOTE_CODE": "1: code that lies beside the model is run",
        },
        "HF_MODEL_ID is of no use: the model is the one in build/model",
    ),
}
