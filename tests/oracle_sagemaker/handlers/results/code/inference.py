import numpy as np


class Opaque:
    pass


def model_fn(model_dir):
    return iter(range(10**9))


def transform_fn(model, body, content_type, accept):
    results = [
        "text é 😀",
        b"\x00bytes",
        bytearray(b"bytearray"),
        {"b": 1, "a": {"nested": [1, 2.5, None, False]}},
        [],
        [[1, 2], "three"],
        None,
        1,
        2.5,
        float("nan"),
        True,
        "",
        b"",
        Opaque(),
        {1, 2},
        np.arange(3),
        np.float32(1.5),
        np.float64(1.5),
        {"key": b"bytes"},
        {(1, 2): 3},
        memoryview(b"view"),
        range(3),
        "\ud800",
    ]
    return results[next(model) % len(results)]
