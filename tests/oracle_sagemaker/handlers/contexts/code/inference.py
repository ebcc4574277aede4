from pathlib import Path


def pre_model_fn(model_dir, context):
    context.order = ["pre"]


def model_fn(model_dir, context):
    context.order.append("model")
    assert context.system_properties["model_dir"] == model_dir
    assert context.request_processor is None
    return {"name": Path(model_dir).name, "batch": context.system_properties["batch_size"]}


def model_warmup_fn(model_dir, model, context):
    context.order.append("warm-up")
    model["warm"] = True


def input_fn(body, content_type, context):
    assert context.get_request_header(0, "Content-Type") == (content_type or None)
    return len(body)


def predict_fn(data, model, context):
    return [data, model, context.order]


def output_fn(prediction, accept, context):
    attributes = context.get_request_header(0, "X-Amzn-SageMaker-Custom-Attributes")
    context.set_response_header(0, "X-Amzn-SageMaker-Custom-Attributes", f"seen={attributes}")
    missing = context.get_request_header(0, "X-Not-There")
    return {"prediction": prediction, "missing": missing, "accept": accept}
