"""SageMaker handlers where the oracle does not reach: loading, refusals, images, stand-ins, responses."""

import io
import itertools
import json
import pickle
import sys
import threading
import zipfile

import flask
import numpy as np
import pytest

from inference.serving.errors import StartError
from inference.serving.handlers import Call, sagemaker
from inference.serving.handlers.sagemaker import npy as bodies

NUMBER = itertools.count()
MODEL = "def model_fn(model_dir): return 2\n"
WHOLE = MODEL + "def predict_fn(data, model): return data * model\n"


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads the text of an entry file, under a name that no other test has, and takes it out again."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    before = set(sys.modules)

    def loaded(text, **beside):
        entry = tmp_path / "code" / f"entry_{next(NUMBER)}.py"
        entry.parent.mkdir(exist_ok=True)
        entry.write_text(text)
        for name, content in beside.items():
            (entry.parent / f"{name}.py").write_text(content)
        return sagemaker.load(tmp_path, entry)

    yield loaded
    for name in set(sys.modules) - before:
        if name.startswith(("entry_", "sagemaker_", "sibling")):
            del sys.modules[name]


def ask(handler, body, content_type="application/json", accept="application/json", **headers):
    return handler.answer(Call(body, content_type, accept, headers))


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


class Bomb:
    def __reduce__(self):
        return (open, (MARKER, "w"))


MARKER = ""


@pytest.mark.parametrize("wrapped", [False, True], ids=["a pickle", "an npy of objects"])
def test_a_pickle_in_an_npy_body_is_refused_and_not_read(load, tmp_path, monkeypatch, wrapped):
    monkeypatch.setattr(sys.modules[__name__], "MARKER", str(tmp_path / "marker"))
    body = npy(np.array([Bomb()], dtype=object)) if wrapped else pickle.dumps(Bomb())
    answer = ask(load(WHOLE), body, "application/x-npy")
    assert answer.status == 400
    assert answer.body.startswith(b"application/x-npy: the body holds pickled objects")
    assert not (tmp_path / "marker").exists()


def test_an_npy_header_that_claims_more_than_was_sent_is_refused_before_memory_is_taken(load):
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }\n"
    body = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    answer = ask(load(WHOLE), body, "application/x-npy")
    assert (answer.status, b"the header claims 8000000000000" in answer.body) == (400, True)


@pytest.mark.parametrize("content_type", ["application/x-npy", "application/x-npz"])
def test_a_compressed_bomb_is_refused(load, monkeypatch, content_type):
    monkeypatch.setattr(bodies, "_MOST_UNPACKED", 2**20)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("data.npy", "w") as member:
        member.write(bytes(2**20 + 1))
    answer = ask(load(WHOLE), file.getvalue(), content_type)
    assert (answer.status, b"unpack to 1048577" in answer.body) == (400, True)


def test_what_the_handler_raises_is_kept_for_the_log_and_our_frames_are_not_in_the_answer(load):
    answer = ask(load(MODEL + "def predict_fn(data, model): raise ValueError('no')"), b"[1]")
    assert isinstance(answer.failure, ValueError)
    assert b"ValueError: no" in answer.body
    assert b"inference/serving" not in answer.body


def test_our_frames_are_in_no_part_of_a_chain_or_group(load):
    text = MODEL + (
        "from sagemaker_inference import decoder\n"
        "def predict_fn(data, model):\n"
        "    try: decoder.decode(b'', 'image/png')\n"
        "    except Exception as error: raise ExceptionGroup('several', [error]) from error\n"
    )
    body = ask(load(text), b"[1]").body
    assert body.count(b"sagemaker_inference.errors.UnsupportedFormatError") == 2
    assert b"inference/serving" not in body


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("def model_fn(model_dir) return 1", "syntax error in entry_{n}.py line 1"),
        ("import not_installed_anywhere", "No module named 'not_installed_anywhere'"),
        ("1 / 0", "importing it raised ZeroDivisionError"),
        (WHOLE.replace("return 2", "raise OSError('gone')"), "model_fn raised OSError: gone"),
        (WHOLE.replace("return 2", "import sys; sys.exit(3)"), "model_fn raised SystemExit: 3"),
        (WHOLE + "def model_warmup_fn(d, m): 1 / 0", "model_warmup_fn raised ZeroDivisionError"),
        (WHOLE + "def pre_model_fn(d): 1 / 0", "pre_model_fn raised ZeroDivisionError"),
        (MODEL, "has no predict_fn or transform_fn, and AWS's toolkit brings none"),
        ("def predict_fn(data, model): return 1", "has no model_fn, and AWS's toolkit brings none"),
        (WHOLE + "def input_fn(body): return body", "input_fn: line 3 takes 1 arguments; expected 2, or 3"),
        (WHOLE + "def output_fn(p, a, c, d): return p", "output_fn: line 3 takes 4 arguments; expected 2"),
        (WHOLE + "output_fn = 5", "output_fn: 5 is not a callable object; expected a function"),
        (
            WHOLE + "def transform_fn(m, b, c, a): return b",
            "line 3 defines transform_fn and line 2 predict_fn; expected transform_fn alone",
        ),
    ],
)
def test_a_broken_handler_does_not_start_and_says_why(load, text, told):
    number = next(NUMBER) + 1
    with pytest.raises(StartError, match="^entry_") as error:
        load(text)
    assert told.format(n=number) in str(error.value)


def test_what_breaks_a_start_carries_the_users_own_traceback(load):
    with pytest.raises(StartError) as error:
        load(WHOLE.replace("return 2", "raise OSError('gone')"))
    frames = error.value.__cause__.__traceback__
    while frames.tb_next:
        frames = frames.tb_next
    assert frames.tb_frame.f_code.co_name == "model_fn"


def test_an_entry_file_that_bears_a_loaded_modules_name_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    entry = tmp_path / "code" / "json.py"
    entry.parent.mkdir()
    entry.write_text(WHOLE)
    with pytest.raises(
        StartError, match=r"json.py: a module json is there already, from .*give the file another"
    ):
        sagemaker.load(tmp_path, entry)


def test_one_request_is_answered_at_a_time(load):
    handler = load(
        "import threading, time\n"
        "busy = threading.Lock()\n"
        "def model_fn(model_dir): return 1\n"
        "def transform_fn(model, body, content_type, accept):\n"
        "    assert busy.acquire(blocking=False)\n"
        "    time.sleep(0.01)\n"
        "    busy.release()\n"
        "    return body\n"
    )
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(ask(handler, b"1"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [answer.status for answer in answers] == [200] * 8


def test_answer_all_answers_each_in_its_place(load):
    answers = load(WHOLE).answer_all([Call(b"[%d]" % n, "application/json") for n in range(3)])
    assert [answer.body for answer in answers] == [b"[0]", b"[2]", b"[4]"]


def test_a_header_is_found_in_any_spelling_and_absent_ones_are_none(load):
    handler = load(
        MODEL + "def transform_fn(model, body, content_type, accept, context):\n"
        "    names = 'x-amzn-SAGEMAKER-custom-attributes', 'X-Amzn-SageMaker-Session-Id', 'x-own', 'accept'\n"
        "    found = [context.get_request_header(0, name) for name in names]\n"
        "    return {'found': found, 'names': list(context.get_all_request_header(0))}\n"
    )
    answer = ask(handler, b"", accept="", **{"x-amzn-sagemaker-custom-attributes": "a=1", "x-own": "b"})
    told = json.loads(answer.body)
    assert told["found"] == ["a=1", None, "b", None]
    assert "X-Amzn-SageMaker-Custom-Attributes" in told["names"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("x-a", "a\r\nset-cookie: b"), ("x\r\na", "b"), ("", "b"), ("x-a", "ключ"), ("x-a", 5)],
)
def test_a_response_header_that_would_split_the_answer_never_leaves(load, name, value):
    handler = load(
        MODEL + "def transform_fn(model, body, content_type, accept, context):\n"
        f"    context.set_response_header(0, {name!r}, {value!r})\n"
        "    return 'text'\n"
    )
    answer = ask(handler, b"")
    assert (answer.status, json.loads(answer.body)["message"], answer.headers) == (500, "Worker died.", {})


def test_a_status_that_is_none_is_refused_and_a_numpy_one_is_taken(load):
    handler = load(
        "import numpy\n" + MODEL + "def transform_fn(model, body, content_type, accept, context):\n"
        "    context.set_response_status({'text': 'no', 'low': 99, 'numpy': numpy.int64(418)}[body], '')\n"
        "    return 'text'\n"
    )
    assert [ask(handler, body).status for body in (b"text", b"low", b"numpy")] == [500, 500, 418]


def test_a_real_toolkit_beside_the_handler_is_used_and_its_errors_are_known(load, tmp_path):
    package = tmp_path / "code" / "sagemaker_inference"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "errors.py").write_text(
        "class BaseInferenceToolkitError(Exception):\n"
        "    status_code, message, phrase = 409, 'theirs', 'Conflict'\n"
    )
    handler = load(
        "from sagemaker_inference.errors import BaseInferenceToolkitError\n"
        + MODEL
        + "def predict_fn(data, model): raise BaseInferenceToolkitError()\n"
    )
    answer = ask(handler, b"[1]")
    assert (answer.status, answer.body.split(b"\n")[0]) == (409, b"theirs")


def test_the_older_toolkits_modules_can_be_imported_as_handlers_do(load):
    handler = load(
        "from sagemaker_containers.beta.framework import (\n"
        "    content_types, encoders, env, modules, transformer, worker)\n"
        + MODEL
        + "def input_fn(body, content_type): return encoders.decode(body, content_type)\n"
        "def predict_fn(data, model): return data * model\n"
        "def output_fn(prediction, accept):\n"
        "    return worker.Response(encoders.encode(prediction, accept), mimetype=accept)\n"
    )
    assert "as in the scikit-learn image" in handler.shape
    answer = ask(handler, b"1,2\n3,4", "text/csv", "text/csv")
    assert (answer.status, answer.content_type, answer.body) == (
        200,
        "text/csv; charset=utf-8",
        b"2.0,4.0\n6.0,8.0\n",
    )


RESULTS = {
    "text": "'text'",
    "bytes": "b'bytes'",
    "a dict": "{'b': 1, 'a': [2.5, None]}",
    "a list": "[1, 'two']",
    "a response": "Response('a,b', mimetype='text/csv')",
    "a response with a status": "Response('no', status=409, headers={'x-own': '1'}, mimetype='text/css')",
    "a response with a header": "Response(b'x', headers={'content-type': 'image/png'})",
    "a response of parts": "Response(['a', 'b'], mimetype='application/xml')",
    "a response without a type": "Response('x', headers={'x-own': '1'})",
    "an empty response": "Response(mimetype='text/plain')",
}


class WithTheirDefault(flask.Response):
    default_mimetype = "application/json"


@pytest.mark.parametrize("name", RESULTS)
def test_a_scikit_learn_handlers_result_is_answered_as_flask_answers_it(load, monkeypatch, name):
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", "sagemaker_sklearn_container.serving:main")
    answer = ask(
        load(
            "from sagemaker_containers.beta.framework.worker import Response\n"
            + MODEL
            + f"def transform_fn(model, body, content_type, accept): return {RESULTS[name]}\n"
        ),
        b"",
    )
    app = flask.Flask(__name__)
    app.json.compact = True
    app.add_url_rule("/", view_func=lambda: eval(RESULTS[name], {"Response": WithTheirDefault}))
    expected = app.test_client().get("/")
    found = answer.status, answer.content_type, answer.headers.get("x-own")
    assert found == (expected.status_code, expected.headers["Content-Type"], expected.headers.get("x-own"))
    if answer.content_type == "application/json" and not name.startswith("a response"):
        assert json.loads(answer.body) == expected.get_json()
    else:
        assert answer.body == expected.get_data()


@pytest.mark.parametrize("framework", ["werkzeug", "flask"])
def test_a_web_frameworks_own_response_is_taken_whole(load, framework):
    handler = load(
        f"from {framework} import Response\n"
        + MODEL
        + "def transform_fn(model, body, content_type, accept):\n"
        "    return Response(body, status=206, headers={'x-own': 'yes'}, mimetype='text/plain')\n"
    )
    answer = ask(handler, b"text")
    assert (answer.status, answer.body, answer.content_type, answer.headers) == (
        206,
        b"text",
        "text/plain; charset=utf-8",
        {"x-own": "yes"},
    )


SCIKIT = (
    "import sklearn\n"
    "class Model:\n"
    "    def predict(self, rows): return rows.sum(axis=1)\n"
    "def model_fn(model_dir): return Model()\n"
)


@pytest.mark.parametrize(
    ("content_type", "accept", "status", "told"),
    [
        ("application/json", "application/json", 200, b"[3.0, 7.0]"),
        ("", "*/*", 200, b"[3.0, 7.0]"),
        ("application/json", "text/csv", 200, b"3.0\n7.0\n"),
        ("image/png", "application/json", 415, b"Content type image/png is not supported"),
        ("application/json", "image/png", 406, b"Content type image/png is not supported"),
        ("text/csv", "application/json", 500, b"<title>500 Internal Server Error</title>"),
    ],
)
def test_the_scikit_learn_images_default_functions(load, monkeypatch, content_type, accept, status, told):
    monkeypatch.setitem(sys.modules, "sklearn", type(sys)("sklearn"))
    answer = ask(load(SCIKIT), b"[[1, 2], [3, 4]]", content_type, accept)
    assert answer.status == status
    assert told in answer.body


TRANSFORMERS = (
    "import transformers\ndef model_fn(model_dir): return lambda inputs, scale=1: [inputs, scale]\n"
)


@pytest.mark.parametrize(
    ("body", "content_type", "status", "told"),
    [
        (b'{"inputs": "hi"}', "application/json", 200, ["hi", 1]),
        (b'{"inputs": "hi", "parameters": {"scale": 3}}', "application/json", 200, ["hi", 3]),
        (b'{"other": 1}', "application/json", 200, [{"other": 1}, 1]),
        (b"inputs,n\na,1\nb,2", "text/csv", 200, [["a", "b"], 1]),
        (b"question,context\nq,c", "text/csv", 200, [[{"question": "q", "context": "c"}], 1]),
    ],
)
def test_the_hugging_face_images_default_functions(load, monkeypatch, body, content_type, status, told):
    monkeypatch.setitem(sys.modules, "transformers", type(sys)("transformers"))
    answer = ask(load(TRANSFORMERS), body, content_type, "")
    assert (answer.status, answer.content_type) == (status, "application/json")
    assert answer.body == json.dumps(told, separators=(",", ":")).encode()


@pytest.mark.parametrize(
    ("body", "content_type", "message"),
    [
        (b"{", "application/json", "Expecting property name enclosed in double quotes"),
        (b"a,b\n1,2", "text/csv", "You need to provide the correct CSV"),
        (b"x", "application/x-own", "Content type application/x-own is not supported"),
    ],
)
def test_every_failure_in_the_hugging_face_image_is_a_400(load, monkeypatch, body, content_type, message):
    monkeypatch.setitem(sys.modules, "transformers", type(sys)("transformers"))
    answer = ask(load(TRANSFORMERS), body, content_type)
    told = json.loads(answer.body)
    assert (answer.status, told["code"], told["type"]) == (400, 400, "InternalServerException")
    assert told["message"].startswith(message)


def test_an_image_that_is_not_known_is_refused_with_those_that_are(load, monkeypatch):
    monkeypatch.setenv("SAGEMAKER_SERVING_MODULE", "sagemaker_xgboost_container.serving:main")
    with pytest.raises(StartError, match="expected one of sagemaker_pytorch_serving_container, "):
        load(WHOLE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
class TestThePyTorchImagesDefaults:
    """A TorchScript model is loaded and called, and nothing that needs pickle."""

    @pytest.fixture(scope="class")
    def torch(self):
        import torch

        return torch

    def test_a_torchscript_model_needs_no_function_but_one(self, load, tmp_path, torch):
        torch.jit.trace(torch.nn.Softsign(), torch.zeros(1)).save(tmp_path / "model.pt")
        handler = load("import torch\ndef pre_model_fn(model_dir): pass\n")
        answer = ask(handler, b"[1, 3]", accept="*/*")
        assert (answer.status, answer.body, answer.content_type) == (200, b"[0.5, 0.75]", "application/json")
        answer = ask(handler, npy(np.array([[1.0]])), "application/x-npy", "application/x-npy")
        assert np.load(io.BytesIO(answer.body)).tolist() == [[0.5]]

    def test_the_only_model_file_is_taken_whatever_its_name(self, load, tmp_path, torch):
        torch.jit.trace(torch.nn.Softsign(), torch.zeros(1)).save(tmp_path / "weights.pth")
        assert ask(load("import torch\ndef pre_model_fn(model_dir): pass\n"), b"[1]").body == b"[0.5]"

    def test_a_lone_number_is_that_number_and_not_memory(self, load, tmp_path, torch):
        torch.jit.trace(torch.nn.Softsign(), torch.zeros(1)).save(tmp_path / "model.pt")
        assert ask(load("import torch\ndef pre_model_fn(model_dir): pass\n"), b"3").body == b"0.75"

    def test_a_pickled_model_is_not_loaded(self, load, tmp_path, torch):
        torch.save(torch.nn.Softsign(), tmp_path / "model.pt")
        with pytest.raises(StartError, match="Please ensure model is saved using torchscript"):
            load("import torch\ndef pre_model_fn(model_dir): pass\n")

    def test_two_model_files_are_not_guessed_between(self, load, tmp_path, torch):
        for name in ("a.pt", "b.pth"):
            (tmp_path / name).write_bytes(b"")
        with pytest.raises(StartError, match=r"\['a.pt', 'b.pth'\]: expected exactly one"):
            load("import torch\ndef pre_model_fn(model_dir): pass\n")
