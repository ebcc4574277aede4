"""The MiniLM sentence encoder: a text in, 384 numbers out. Here the model is what costs."""

from __future__ import annotations

import torch
from transformers import AutoModel, AutoTokenizer


class Handler:
    def load(self, model_dir: str) -> None:
        self.tokenizer = AutoTokenizer.from_pretrained(model_dir, local_files_only=True)
        self.model = AutoModel.from_pretrained(model_dir, local_files_only=True).eval()

    def length(self, instance: str) -> int:
        """What padding goes by: texts of about one length are cheap to encode together."""
        return len(instance)

    def predict(self, inputs: list[str]) -> torch.Tensor:
        with torch.inference_mode():
            tokens = self.tokenizer(
                inputs, padding=True, truncation=True, max_length=256, return_tensors="pt"
            )
            features = self.model(**tokens).last_hidden_state
            mask = tokens["attention_mask"].unsqueeze(-1).to(features.dtype)
            return torch.nn.functional.normalize((features * mask).sum(1) / mask.sum(1), dim=1)
