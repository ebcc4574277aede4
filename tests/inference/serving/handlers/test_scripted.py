"""A TorchScript model alone is served as AWS's PyTorch image serves one, and to Vertex AI's predict, too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inference.serving.errors import StartError
from inference.serving.handlers import Answer, Call, OldHandler
from inference.serving.startup import loading

torch = pytest.importorskip("torch")
JSON = "application/json"
# Deprecated, and what people have.
pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture
def handler(tmp_path: Path) -> OldHandler:
    torch.jit.trace(torch.nn.Softsign(), torch.zeros(1)).save(tmp_path / "weights.pt")
    (tmp_path / "code").mkdir()
    loaded = loading.load(tmp_path)
    assert not isinstance(loaded, loading.Predictor)
    return loaded


def ask(handler: OldHandler, body: bytes, content_type: str = JSON, accept: str = "") -> Answer:
    return handler.answer(Call(body, content_type, accept))


def test_it_is_said_what_serves(handler, capsys):
    assert handler.shape == "TorchScript weights.pt, as in the PyTorch image"


def test_it_is_said_at_start(tmp_path, capsys):
    torch.jit.trace(torch.nn.Softsign(), torch.zeros(1)).save(tmp_path / "model.pt")
    loading.load(tmp_path)
    assert "model.pt: a TorchScript model: served as TorchScript model.pt, as in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("body", "content_type", "accept", "answer"),
    [
        (b"[1, 3]", JSON, "", b"[0.5, 0.75]"),
        (b"[[1], [3]]", JSON, "*/*", b"[[0.5], [0.75]]"),
        (b"1,3\n", "text/csv", "text/csv", b"0.5\n0.75\n"),
        (b'{"instances": [[1], [3]]}', JSON, "", b'{"predictions": [[0.5], [0.75]]}'),
        (b'{"instances": [1]}', JSON, "text/csv", b'{"predictions": [0.5]}'),
    ],
)
def test_the_images_content_types_and_vertex_ais_envelope_are_answered(
    handler, body, content_type, accept, answer
):
    found = ask(handler, body, content_type, accept)
    assert (found.status, found.body) == (200, answer)


@pytest.mark.parametrize("body", [b'{"a": 1}', b"no JSON", b'{"instances": null}', b"[" * 100_000])
def test_what_the_image_fails_on_fails(handler, body):
    assert ask(handler, body).status >= 400


def test_another_content_type_is_refused_as_there(handler):
    found = ask(handler, b"x", "text/plain")
    assert (found.status, b"text/plain is not supported" in found.body) == (500, True)


def test_a_file_that_torch_cannot_load_is_a_start_error(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/code/x.py", b"")
    with pytest.raises(StartError, match=r"model.pt: .*; expected what torch.jit.save wrote"):
        loading.load(tmp_path)


def test_vertex_ais_envelope_may_hold_what_json_says(handler):
    predictions = json.loads(ask(handler, b'{"instances": [1e3, -1]}').body)["predictions"]
    assert predictions == pytest.approx([1000 / 1001, -0.5])
