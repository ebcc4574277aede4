"""Streams as many pieces as an instance says. An instance is {"pieces": N}, or the name of a way to fail."""

from collections.abc import Iterator
from typing import Any


class Handler:
    def load(self, model_dir: str) -> None:
        pass

    def preprocess(self, instances: list[Any]) -> list[Any]:
        if "refuse" in instances:
            raise ValueError("no instance like this")
        return instances

    def predict(self, inputs: list[Any]) -> Iterator[Any]:
        if "fail" in inputs:
            raise RuntimeError("before the first piece")
        for one in inputs:
            for number in range(1 if one == "break" else one["pieces"]):
                yield {"piece": number, "text": "x" * 200}
            if one == "break":
                raise RuntimeError("after the first piece")
