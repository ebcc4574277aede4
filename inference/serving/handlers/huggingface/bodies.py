"""Bodies as Hugging Face's inference toolkit takes and writes them: JSON, pictures and sound.

Source: huggingface.co/docs/inference-endpoints, its pages on custom handlers and supported content types.
"""

from __future__ import annotations

import base64
import importlib
import io
import warnings
from collections.abc import Iterator
from typing import Any

import orjson

JSON = "application/json"
_IMAGES = ("png", "jpeg", "jpg", "tiff", "bmp", "gif", "webp", "x-image")
_SOUNDS = (
    *("x-flac", "flac", "mpeg", "x-mpeg-3", "wave", "wav", "x-wav", "ogg", "x-audio", "webm", "amr"),
    *("amr-wb", "amr-wb+", "m4a", "x-m4a"),
)
_IS_IMAGE = {f"image/{name}" for name in _IMAGES}
_IS_SOUND = {f"audio/{name}" for name in _SOUNDS}


class Refused(Exception):
    """The body, or the answer that is asked for, is none that the toolkit speaks."""


def decoded(body: bytes, content_type: str) -> dict[str, Any]:
    """What a handler is called with: the JSON object, or {"inputs": …}, a PIL image or a sound's bytes."""
    kind = _name(content_type)
    if kind == JSON:
        return _document(body)
    if kind in _IS_IMAGE:
        return {"inputs": _image(body)}
    if kind in _IS_SOUND:
        return {"inputs": body}
    raise Refused(f'Content type "{content_type}" not supported; expected {JSON}, image/… or audio/…')


def _document(body: bytes) -> dict[str, Any]:
    document = orjson.loads(body)
    if not isinstance(document, dict) or document.keys().isdisjoint({"inputs", "instances"}):
        raise Refused(f"Body needs to provide a inputs key, received: {orjson.dumps(document)!r}")
    return document


def encoded(value: Any, accept: str) -> tuple[bytes, str]:
    """The value in the first form that `accept` names and the toolkit writes, and its content type."""
    for wanted in _wanted(accept):
        if _name(wanted) == JSON:
            return orjson.dumps(value, _plain, orjson.OPT_SERIALIZE_NUMPY), wanted
        if _name(wanted) in _IS_IMAGE:
            return _picture(value, wanted.rpartition("/")[2].upper()), wanted
    raise Refused(f'Accept type "{accept}" not supported; expected {JSON} or image/…')


def _wanted(accept: str) -> Iterator[str]:
    for part in (accept or "*/*").split(","):
        stated = part.partition(";q=")[0].strip()
        yield JSON if stated in ("*/*", "application/*") else stated


def _name(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def _picture(value: Any, form: str) -> bytes:
    if not hasattr(value, "save"):
        raise Refused(f"Can only serialize PIL.Image.Image, got {type(value)}")
    file = io.BytesIO()
    value.save(file, format="PNG" if form == "X-IMAGE" else form)
    return file.getvalue()


def _plain(value: Any) -> Any:
    """A picture within JSON, as PNG in base64; TypeError for anything else."""
    if type(value).__module__.startswith("PIL."):
        return base64.b64encode(_picture(value, "PNG")).decode("ascii")
    raise TypeError(f"type {type(value).__qualname__} is not JSON")


def _image(body: bytes) -> Any:
    try:
        pillow: Any = importlib.import_module("PIL.Image")
    except ImportError:
        raise Refused("a picture needs Pillow: put pillow into inference/requirements.txt") from None
    try:
        with warnings.catch_warnings():
            # What Pillow warns of, and would unpack all the same: half a gigabyte out of a few bytes.
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            return pillow.open(io.BytesIO(body)).convert("RGB")
    except (pillow.DecompressionBombWarning, pillow.DecompressionBombError) as error:
        raise Refused(str(error)) from None
    except pillow.UnidentifiedImageError:  # its own text has an address in memory
        raise Refused("cannot identify image file") from None
