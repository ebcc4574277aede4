"""MLflow's scoring server on a pyfunc. It takes JSON and CSV alone: no part in the image workload."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import mlflow

from bench.serving.apps import handling


class Served(mlflow.pyfunc.PythonModel):
    def load_context(self, context: Any) -> None:
        self.answer = handling.loaded()

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return self.answer(list(model_input))


mlflow.models.set_model(Served())

if __name__ == "__main__":
    folder = handling.SCRATCH / "model"
    mlflow.pyfunc.save_model(str(folder), python_model=__file__, pip_requirements=["torch"])
    words = ("models", "serve", "-m", str(folder), "-p", str(handling.PORT), "--env-manager", "local")
    program = Path(sys.executable).with_name("mlflow")
    os.execv(program, (str(program), *words, "-w", str(handling.WORKERS)))
