def model_fn(model_dir):
    return "model"


def model_warmup_fn(model_dir, model):
    assert model == "model"


def transform_fn(model, body, content_type, accept):
    text = body if isinstance(body, str) else bytes(body).hex()
    return f"{model}|{type(body).__name__}|{text}|{content_type}|{accept}"
