"""A BaseHandler that overrides its preprocess alone; the model is a class and a state dict."""

from ts.torch_handler.base_handler import BaseHandler
from ts.utils.util import map_class_to_label


class Doubling(BaseHandler):
    def preprocess(self, data):
        rows = [row.get("data") or row.get("body") for row in data]
        return super().preprocess([[float(value) for value in row] for row in rows])

    def postprocess(self, data):
        found = super().postprocess(data)
        return map_class_to_label(found, self.mapping)

    def describe_handle(self):
        return {"mapping": self.mapping, "device": str(self.get_device()), "ready": self.initialized}

    def get_insights(self, tensor_data, inputs, target=0):
        return [{"inputs": inputs, "target": target, "shape": list(tensor_data.shape)}]
