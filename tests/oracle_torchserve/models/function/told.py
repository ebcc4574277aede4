"""A module's function that does what each request's body says."""

from ts.utils.util import PredictionException

STARTED = []
RESULTS = {
    "text": "grüezi\n",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"ab"),
    "none": None,
    "number": 1.5,
    "list": [1, {"a": "é"}],
    "keys": {1: True, None: 2},
    "nan": float("nan"),
    "set": {1},
}


def handle(data, context):
    if data is None:
        STARTED.append(context.system_properties["model_dir"])
        return None
    return [told(row, context, number) for number, row in enumerate(data)]


def told(row, context, number):
    word = row.get("body")
    word = bytes(word).decode("utf-8", "replace") if isinstance(word, (bytes, bytearray)) else word
    if isinstance(word, str) and word in RESULTS:
        return RESULTS[word]
    if isinstance(word, dict) and "raise" in word:
        raise {"value": ValueError, "cuda": RuntimeError, "memory": MemoryError}[word["raise"]](
            "CUDA" * (word["raise"] == "cuda")
        )
    if isinstance(word, dict) and "refuse" in word:
        raise PredictionException(word.get("say", "no 'such' <thing>"), word["refuse"])
    if isinstance(word, dict) and "status" in word:
        context.set_response_status(word["status"], "as told", number)
    if isinstance(word, dict) and "type" in word:
        context.set_response_content_type(number, word["type"])
        context.set_response_header(number, "X-Told", "yes")
    if isinstance(word, dict) and "drop" in word:
        return told({"body": "list"}, context, number)
    seen = {name: (type(value).__name__, repr(value)) for name, value in row.items()}
    headers = {name: context.get_request_header(number, name) for name in ("body", "Content-Type", "X-Own")}
    return {"row": seen, "headers": headers, "id": len(context.get_request_id(number)), "calls": len(STARTED)}
