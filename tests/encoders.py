"""Encoders of transformers, so small that they answer in a millisecond, with weights that nobody trained."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers

WORDS = 99
_SIZE: dict[str, Any] = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    # So that it shows what a token attends to, which is little at the usual one.
    "initializer_range": 0.3,
}
_ENDS = {"bos_token_id": 1, "eos_token_id": 2, "cls_token_id": 1, "sep_token_id": 2}
_OWN: dict[str, dict[str, Any]] = {
    # A window of attention, shorter than a text may be.
    "ModernBert": {"local_attention": 8, "global_attn_every_n_layers": 2, "pad_token_id": 0, **_ENDS},
    "Llama": {"pad_token_id": 0},
}
# An instance is a text; each character is a token, and what it answers is the mean of the tokens'.
HANDLER = """
import torch
from transformers import AutoModel

class Handler:
    def load(self, model_dir):
        torch.set_num_threads(1)
        self.model = AutoModel.from_pretrained(model_dir, local_files_only=True).eval()

    def length(self, instance):
        return len(instance)

    def predict(self, inputs):
        rows = [torch.tensor([3 + ord(letter) % 90 for letter in text]) for text in inputs]
        ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(row) for row in rows], batch_first=True)
        with torch.inference_mode():
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state
        return (hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
"""


def encoder(name: str, **settings: Any) -> Any:
    """The model of that class of transformers', such as BertModel."""
    family = name.removesuffix("Model").partition("For")[0]
    config = getattr(transformers, f"{family}Config")
    torch.manual_seed(0)
    made = getattr(transformers, name)(config(**_SIZE, **_OWN.get(family, {}), **settings))
    return made.eval().requires_grad_(False)


def write_encoder(folder: Path) -> Path:
    """A model's folder, as a container has it, with a small BertModel, its handler and ragged samples."""
    (folder / "code").mkdir(parents=True)
    (folder / "code/handler.py").write_text(HANDLER)
    encoder("BertModel").save_pretrained(folder)
    texts = [chr(97 + length) * length + "end" for length in (1, 20, 3, 9, 14, 2)]
    (folder / "code/samples.jsonl").write_text("".join(f"{json.dumps(text)}\n" for text in texts))
    return folder
