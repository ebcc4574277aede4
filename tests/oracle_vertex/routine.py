"""The same model twice: as Google's Predictor, and as the handler of ours. Each instance is its own answer.

Some words as an instance make both misbehave in the same way.
"""

from typing import Any

HANDLER = """\
class Handler:
    def load(self, model_dir):
        pass

    def predict(self, inputs):
        if "fail" in inputs:
            raise RuntimeError("the model broke")
        if "nan" in inputs:
            return [float("nan")] * len(inputs)
        return inputs[1:] if "drop" in inputs else inputs
"""


try:
    from google.cloud.aiplatform.prediction.predictor import Predictor
except ImportError:  # where ours is started from
    Predictor = object


class Echo(Predictor):  # type: ignore[misc]  # Google's has no types where the tests run
    """The handler as Google's documentation has it: the envelope is the predictor's own affair."""

    def load(self, artifacts_uri: str, **_: Any) -> None:
        """Nothing to load."""

    def preprocess(self, prediction_input: dict[str, Any]) -> list[Any]:
        """The instances."""
        return list(prediction_input["instances"])

    def predict(self, instances: list[Any]) -> list[Any]:
        """The instances again."""
        if "fail" in instances:
            raise RuntimeError("the model broke")
        if "nan" in instances:
            return [float("nan")] * len(instances)
        return instances[1:] if "drop" in instances else instances

    def postprocess(self, prediction_results: list[Any]) -> dict[str, Any]:
        """The answer's envelope."""
        return {"predictions": prediction_results}
