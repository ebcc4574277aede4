import json


def model_fn(model_dir):
    return None


def predict_fn(data, model):
    return f"{type(data).__name__} {getattr(data, 'dtype', '')} {getattr(data, 'shape', '')} {data!r}"


def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
