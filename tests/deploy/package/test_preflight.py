"""A handler or samples that surely cannot work are refused by file and line; the handler never runs here."""

from __future__ import annotations

import zipfile

import pytest

from deploy.package import PackageError
from deploy.package.preflight import check_handler, check_samples, is_of_another_server

GOOD = "class Handler:\n    def load(self, d): ...\n    def predict(self, x): ...\n"

REFUSED_HANDLERS = {
    "syntax": ("class Handler:\n    def load(self: ...\n", r"handler\.py:2: .*def load\(self: \.\.\."),
    "indentation": ("class Handler:\n  x = 1\n      y = 2\n", r"handler\.py:3: unexpected indent"),
    "NUL": ("x = 1\0", "null bytes"),
    "no class": ("def predict(x): return x\n", r"handler\.py: has no class Handler"),
    "other case": ("class handler:\n    pass\n", "has no class Handler"),
    "only in a comment": ("# class Handler\n'Handler'\n", "has no class Handler"),
    "empty": ("", "has no class Handler"),
    "no predict": (
        "x = 1\nclass Handler:\n    def load(self, d): ...\n",
        r"handler\.py:2: class Handler has no method predict",
    ),
    "predict outside": (
        "class Handler:\n    def load(self, d): ...\ndef predict(self, x): ...\n",
        "has no method predict",
    ),
    "no load": ("class Handler:\n    def predict(self, x): ...\n", "has no method load"),
}

# Reading cannot show that these lack anything, so the samples will, at start.
UNCERTAIN_HANDLERS = {
    "whole": GOOD,
    "async": GOOD.replace("def predict", "async def predict"),
    "a base": "from kit import Base\nclass Handler(Base): pass\n",
    "a decorator": "import kit\n@kit.handler\nclass Handler: pass\n",
    "a metaclass": "import kit\nclass Handler(metaclass=kit.Meta): pass\n",
    "imported": "from mine import Handler\n",
    "imported under another name": "from mine import Model as Handler\n",
    "star": "from mine import *\n",
    "assigned": "import mine\nHandler = mine.make()\n",
    "dynamic": "globals()['Handler'] = type('Handler', (), {})\n",
    "module __getattr__": "def __getattr__(name): ...\n",
    "method assigned inside": "class Handler:\n    load = predict = lambda self, x: x\n",
    "method assigned outside": "class Handler: pass\nHandler.load = Handler.predict = print\n",
    "set by setattr": "class Handler: pass\nsetattr(Handler, 'predict', print)\n",
    "two readings": f"try:\n    from mine import Handler\nexcept ImportError:\n    {'class Handler: pass'}\n",
    "odd escape": GOOD + "x = '\\d'\n",
    "other encoding": "# coding: latin-1\n# \xe9\n" + GOOD,
}


@pytest.mark.parametrize(("source", "said"), REFUSED_HANDLERS.values(), ids=REFUSED_HANDLERS.keys())
def test_a_handler_that_cannot_work_is_refused(tmp_path, source, said):
    handler = tmp_path / "handler.py"
    handler.write_text(source)

    with pytest.raises(PackageError, match=said):
        check_handler(handler.parent)


@pytest.mark.parametrize("source", UNCERTAIN_HANDLERS.values(), ids=UNCERTAIN_HANDLERS.keys())
def test_a_handler_that_may_work_passes(tmp_path, source):
    handler = tmp_path / "handler.py"
    handler.write_text(source, encoding="latin-1")

    check_handler(handler.parent)


def test_the_handler_is_never_run(tmp_path):
    handler = tmp_path / "handler.py"
    handler.write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nimport no_such_module\n" + GOOD)

    check_handler(handler.parent)

    assert not (tmp_path / "ran").exists()


def test_a_missing_handler_is_named(tmp_path):
    with pytest.raises(PackageError, match=r"handler\.py: is not there: write a class Handler"):
        check_handler(tmp_path)


def test_a_handler_too_deep_to_parse_is_refused(tmp_path):
    (tmp_path / "handler.py").write_text("x = " + "(" * 5000 + ")" * 5000)

    with pytest.raises(PackageError, match=r"handler\.py"):
        check_handler(tmp_path)


@pytest.mark.parametrize("text", [b"", b"[1, 2]\n", b'{"a": 1.5}\r\n"x"', '{"à": "\u2028"}\n'.encode()])
def test_samples_of_one_json_value_a_line_pass(tmp_path, text):
    (tmp_path / "samples.jsonl").write_bytes(text)

    check_samples(tmp_path / "samples.jsonl")


def test_a_project_may_have_no_samples(tmp_path):
    check_samples(tmp_path / "samples.jsonl")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"{'a': 1}", "is not JSON"),
        (b"[1,", "is not JSON"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b"[1e999]", "1e999 is too large"),
        (b'{"a": 1} {"a": 2}', "is not JSON"),
        (b'"\xff"', "is not UTF-8"),
        (b"   ", "is an empty line"),
        (b"[" * 100_000, "is not JSON"),
        ("[1]".encode("utf-16-le"), "is not JSON"),
    ],
)
def test_a_bad_sample_is_refused_by_line(tmp_path, line, said):
    (tmp_path / "samples.jsonl").write_bytes(b'{"a": 1}\n' + line + b"\n[2]\n")

    with pytest.raises(PackageError, match=rf"samples\.jsonl:2: .*{said}"):
        check_samples(tmp_path / "samples.jsonl")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("inference.py", "def model_fn(model_dir): ...\n"),
        ("serve.py", "from ours import predict_fn\n"),
        ("predictor.py", "from google.cloud.aiplatform.prediction.predictor import Predictor\n"),
        ("handler.py", "class EndpointHandler: ...\n"),
        ("my_handler.py", "def handle(data, context): ...\n"),
        ("model.mar", "PK"),
        (
            "mine.py",
            "from google.cloud.aiplatform.prediction.sklearn.predictor import SklearnPredictor as S\n",
        ),
        ("mine.py", "import google.cloud.aiplatform.prediction.predictor as p\n"),
        ("mine.py", "import google as g\nclass P(g.prediction.predictor.Predictor): ...\n"),
        ("mine.py", "from ts.torch_handler.image_classifier import ImageClassifier\n"),
        ("mine.py", "class Service:\n    def initialize(self, c): ...\n    def handle(self, d, c): ...\n"),
        ("MAR-INF", ""),
    ],
)
def test_a_handler_of_another_server_may_have_any_name(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    check_handler(tmp_path)


@pytest.mark.parametrize(
    "text", ["from google.cloud import aiplatform\n", "", "class Other:\n    def handle(self): ...\n"]
)
def test_what_only_looks_like_one_makes_no_old_handler(tmp_path, text):
    own = "class Handler:\n    def load(self, d): ...\n    def predict(self, x): ...\n"
    also = "    def initialize(self): ...\n    def handle(self): ...\n"
    (tmp_path / "handler.py").write_text(text + own + also)
    assert not is_of_another_server(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "model.pt", "weights.pth"])
def test_a_model_that_may_serve_itself_needs_no_handler(tmp_path, name):
    (code := tmp_path / "inference").mkdir()
    (model := tmp_path / "model").mkdir()
    (model / "weights.bin").write_text("")
    (model / "pickled.pt").write_bytes(b"no zip")
    with zipfile.ZipFile(model / "saved.pt", "w") as archive:
        archive.writestr("saved/data.pkl", b"")
    with pytest.raises(PackageError, match="is not there"):
        check_handler(code, model)
    with zipfile.ZipFile(model / name, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
    check_handler(code, model)
    assert is_of_another_server(code)


def test_the_model_excuses_no_handler_that_lacks_something(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "handler.py").write_text("class Handler: ...\n")
    with pytest.raises(PackageError, match="no method load"):
        check_handler(tmp_path, tmp_path)
    assert not is_of_another_server(tmp_path)


def test_a_broken_entry_of_another_server_is_found_too(tmp_path):
    (tmp_path / "inference.py").write_text("def model_fn(:\n")
    with pytest.raises(PackageError, match=r"inference\.py:1: "):
        check_handler(tmp_path)


def test_a_broken_file_that_nobody_may_import_is_no_error(tmp_path):
    (tmp_path / "handler.py").write_text(GOOD)
    (tmp_path / "notes.py").write_text("def (:\n")
    check_handler(tmp_path)


def test_an_attribute_of_an_old_handler_s_name_makes_no_old_handler(tmp_path):
    (tmp_path / "handler.py").write_text("class Handler:\n    def load(self, d): self.handle = 1\n")
    with pytest.raises(PackageError, match="no method predict"):
        check_handler(tmp_path)
