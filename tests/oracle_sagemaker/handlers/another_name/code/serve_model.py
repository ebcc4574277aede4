"""The entry file has a name of its own, and its functions come from a package beside it."""

from model_code.steps import input_fn, model_fn, output_fn, predict_fn

__all__ = ["input_fn", "model_fn", "output_fn", "predict_fn"]
