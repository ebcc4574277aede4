import json

import numpy as np


def model_fn(model_dir):
    return {}


def input_fn(body, content_type):
    return body if content_type == "text/csv" else json.loads(body)


def predict_fn(data, model):
    if isinstance(data, dict):
        return {"mean": np.float64(0.5), "rows": [np.arange(3), np.int64(7)]}
    if isinstance(data, str):
        return [line.split(",") for line in data.splitlines()]
    return np.asarray(data)
