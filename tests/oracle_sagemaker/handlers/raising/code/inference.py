import json
import sys

import faults
from sagemaker_inference import errors
from sagemaker_inference.errors import BaseInferenceToolkitError, GenericInferenceToolkitError


class Own(BaseInferenceToolkitError):
    def __init__(self, detail):
        super().__init__(422, f"unprocessable: {detail}", "Unprocessable\r\nEntity")


class Unreadable(Exception):
    def __str__(self):
        raise RuntimeError("no message")


def model_fn(model_dir):
    return iter(range(10**9))


def input_fn(body, content_type):
    return body


def predict_fn(data, model):
    return FAULTS[next(model) % len(FAULTS)]()


def output_fn(prediction, accept):
    return prediction


def raises(error):
    def fault():
        raise error

    return fault


def chained():
    try:
        json.loads("{")
    except ValueError as error:
        raise RuntimeError("while reading") from error


def in_another():
    try:
        {}["missing"]
    except KeyError:
        return 1 / 0


def grouped():
    raise ExceptionGroup("several", [ValueError("one"), TypeError("two")])


FAULTS = [
    raises(ValueError("bad\nvalue")),
    raises(ValueError()),
    raises(KeyError("key")),
    raises(MemoryError("no memory")),
    raises(RecursionError("deep")),
    raises(StopIteration()),
    raises(Own("the field x")),
    raises(BaseInferenceToolkitError(413, "too large", "Too Large")),
    raises(BaseInferenceToolkitError("422", "a text for a status", "No")),
    raises(BaseInferenceToolkitError(503, {"detail": "a dict"}, "No")),
    raises(GenericInferenceToolkitError(400)),
    raises(GenericInferenceToolkitError(400, "own words")),
    raises(errors.UnsupportedFormatError("application/x-own")),
    raises(Unreadable()),
    chained,
    in_another,
    grouped,
    faults.in_a_sibling,
    lambda: sys.exit(3),
    raises(KeyboardInterrupt()),
]
