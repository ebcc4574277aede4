"""A model's folder without any code, config.json and weights, as a transformers pipeline.

The task is HF_TASK's, or what the architecture in config.json is for. Weights that are pickles are left to
transformers, which reads tensors alone; code in the folder is run with HF_TRUST_REMOTE_CODE=1 alone.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from inference.serving.errors import StartError, shown
from inference.serving.handlers import starting

# What the name of an architecture ends with, the longer ones first.
_TASKS = {
    "TapasForQuestionAnswering": "table-question-answering",
    "ForQuestionAnswering": "question-answering",
    "ForTokenClassification": "token-classification",
    "ForSequenceClassification": "text-classification",
    "ForMaskedLM": "fill-mask",
    "ForCausalLM": "text-generation",
    "LMHeadModel": "text-generation",
    "ForConditionalGeneration": "text2text-generation",
    "MTModel": "text2text-generation",
    "ForImageClassification": "image-classification",
    "ForAudioClassification": "audio-classification",
    "ForObjectDetection": "object-detection",
    "ForCTC": "automatic-speech-recognition",
}
_GENERATING = {"text-generation", "image-to-text", "automatic-speech-recognition", "text-to-audio"}


def load(folder: Path, environment: Mapping[str, str]) -> Callable[[dict[str, Any]], Any]:
    """A function from {"inputs": …, "parameters": …} to the pipeline's result.

    StartError where transformers is not installed, the task is not known, or the model does not load.
    """
    task = environment.get("HF_TASK", "") or _task(folder / "config.json")
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise StartError(
            f"config.json alone is served as a pipeline, and importing transformers raised {error}; "
            "put transformers into inference/requirements.txt"
        ) from error
    trusted = environment.get("HF_TRUST_REMOTE_CODE", "").lower() in ("1", "true")
    pipeline = starting.called(
        f"transformers.pipeline({shown(task)})",
        lambda: transformers.pipeline(task=task, model=str(folder), trust_remote_code=trusted),
    )
    return lambda data: _called(pipeline, data)


def _task(config: Path) -> str:
    try:
        architecture = str(json.loads(config.read_bytes())["architectures"][0])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise StartError(
            f"config.json: no architecture in it ({error!r}); name the task in HF_TASK"
        ) from None
    for ending, task in _TASKS.items():
        if architecture.endswith(ending):
            return task
    raise StartError(f"config.json: what {shown(architecture)} is for is not known; name the task in HF_TASK")


def _called(pipeline: Any, data: dict[str, Any]) -> Any:
    inputs, parameters = data.get("inputs", data), dict(data.get("parameters") or {})
    task = getattr(pipeline, "task", "")
    inputs, parameters = _in_its_words(task, inputs, parameters)
    return pipeline(**inputs, **parameters) if isinstance(inputs, dict) else pipeline(inputs, **parameters)


def _in_its_words(task: str, inputs: Any, parameters: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """What callers of hosted models may say, as the pipeline's own arguments."""
    if task == "table-question-answering" and isinstance(inputs, dict):
        inputs = {"query" if name == "question" else name: value for name, value in inputs.items()}
    if task.startswith("zero-shot"):
        inputs = (
            {"sequences": inputs} if not isinstance(inputs, dict) else _renamed(inputs, "text", "sequences")
        )
        parameters = _renamed(parameters, "candidateLabels", "candidate_labels")
    if task in _GENERATING or "translation" in task:
        parameters = _renamed(parameters, "generation_parameters", "generate_kwargs")
    if task == "text-generation" or "translation" in task:
        generating = parameters.pop("generate_kwargs", {})
        parameters = {**parameters, **generating}
    return inputs, parameters


def _renamed(words: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if name == old else name: value for name, value in words.items()}
