import json

import numpy as np


def model_fn(model_dir):
    return 2


def input_fn(body, content_type):
    if content_type == "application/json":
        assert isinstance(body, str)
        return np.array(json.loads(body))
    return np.array([len(body)])


def predict_fn(data, model):
    return data * model


def output_fn(prediction, accept):
    return json.dumps({"predictions": prediction.tolist(), "accept": accept})
