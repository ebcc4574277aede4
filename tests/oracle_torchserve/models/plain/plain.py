"""A class of no base, with initialize and handle; what it returns for the whole batch is told by the body."""

from pathlib import Path

import words
from ts.metrics.dimension import Dimension


class Plain:
    def initialize(self, context):
        self.properties = dict(context.system_properties)
        self.manifest = context.manifest["model"]
        self.label = Path("label.txt").read_text()

    def handle(self, data, context):
        word = data[0].get("body")
        results = {"dict": {"not": "a list"}, "short": [], "long": [1] * (len(data) + 1)}
        if word in results:
            return results[word]
        if word == "measures":
            context.metrics.add_counter("Asked", 1, 0, [Dimension("Word", "measures")])
            context.metrics.add_size("Read", 2.5, None, "kB")
            context.metrics.add_percent("Full", 50, 0)
            context.metrics.add_metric("Odd", 3, "eggs")
            context.metrics.add_error("Failed", 1)
        kept = ("gpu_id", "batch_size", "server_name", "limit_max_image_pixels", "server_version")
        seen = {
            "properties": {name: self.properties[name] for name in kept},
            "manifest": self.manifest,
            "config": context.model_yaml_config,
        }
        return [seen.get(word, words.shouted(self.label))] * len(data)
