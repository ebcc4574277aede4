"""What the handler's text says of its answers, held against what Python says of its predict."""

import inspect
import textwrap

import pytest

from deploy import package

METHODS = {
    "yields": "yield 1",
    "yields from": "for one in inputs:\n    yield from one",
    "is given a value": "got = yield 1",
    "never comes to it": "return\nyield",
    "returns": "return [1]",
    "returns a generator": "return (one for one in inputs)",
    "has one inside": "def inner():\n    yield 1\nreturn list(inner())",
    "has a lambda inside": "return (lambda: (yield))",
    "names it": "'yield 1'\nreturn []",
}


def written(code, body, name="Handler"):
    text = f"class {name}:\n    def load(self, d): pass\n    def predict(self, inputs):\n"
    (code / "handler.py").write_text(text + textwrap.indent(body, " " * 8) + "\n")
    return code


@pytest.mark.parametrize("body", METHODS.values(), ids=METHODS)
def test_predict_streams_where_it_is_a_generator(tmp_path, body):
    found: dict = {}
    exec((written(tmp_path, body) / "handler.py").read_text(), found)
    assert package.streams(tmp_path) == inspect.isgeneratorfunction(found["Handler"].predict)


def test_another_class_says_nothing_of_it(tmp_path):
    assert not package.streams(written(tmp_path, "yield 1", name="Helper"))


def test_a_handler_of_another_server_does_not_stream(tmp_path):
    written(tmp_path, "yield 1")
    (tmp_path / "inference.py").write_text("def model_fn(model_dir): return 1\n")
    assert not package.streams(tmp_path)


def test_a_handler_that_is_not_there_does_not_stream(tmp_path):
    assert not package.streams(tmp_path)


def test_a_handler_that_is_no_python_is_told(tmp_path):
    with pytest.raises(package.PackageError, match=r"handler.py:\d"):
        package.streams(written(tmp_path, "yield ("))
