"""A model's folder with a network so small that every kind of variant is made of it in seconds."""

from __future__ import annotations

import json
from pathlib import Path

import torch

# Two layers of 8 x 16, and an answer that is no bare tensor.
HANDLER = """
import torch

class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = torch.nn.Linear(8, 16), torch.nn.Linear(16, 4)

    def forward(self, numbers, scale=1.0):
        hidden = torch.relu(self.first(numbers))
        return {"scores": self.second(hidden) * scale, "hidden": hidden}

class Handler:
    def load(self, model_dir):
        self.model = Network()
        self.model.load_state_dict(torch.load(f"{model_dir}/weights.pt", weights_only=True))
        self.model.eval()

    def predict(self, inputs: torch.Tensor):
        with torch.inference_mode():
            return self.model(inputs, scale=2.0)["scores"]
"""


def write_model(folder: Path, handler: str = HANDLER, samples: int = 6) -> Path:
    """The folder as a container has it."""
    (folder / "code").mkdir(parents=True)
    (folder / "code/handler.py").write_text(handler)
    torch.manual_seed(0)
    layers = {"first": torch.nn.Linear(8, 16), "second": torch.nn.Linear(16, 4)}
    torch.save(torch.nn.ModuleDict(layers).state_dict(), folder / "weights.pt")
    rows = torch.randn(samples, 8).round(decimals=3).tolist()
    (folder / "code/samples.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    return folder
