def model_fn(model_dir):
    return iter(range(10**9))


def input_fn(body, content_type):
    return body


def predict_fn(data, model):
    return next(model)


def output_fn(prediction, accept):
    results = [
        ("text", "text/plain"),
        (b"bytes", "application/octet-stream"),
        (bytearray(b"\x00\xff"), accept),
        ({"a": [1, None, True, "é"]}, "application/json"),
        ([1.5, "two"], "application/json"),
        ("three", "text/plain", "ignored"),
        ("one",),
        (),
        ("no type", None),
        ("empty type", ""),
        ("a number for a type", 5),
        (None, "application/json"),
    ]
    return results[prediction % len(results)]
