"""An old Predictor answers here as in Google's own server, and starts without Google's SDK."""

from __future__ import annotations

import importlib
import json
import pickle
import sys
import textwrap
from pathlib import Path

import joblib
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from inference.serving.errors import StartError
from inference.serving.handlers import Call
from inference.serving.handlers.vertex import Entry

JSON = "application/json"
IRIS = """
import json
import factor
from google.cloud.aiplatform.prediction.predictor import Predictor
from google.cloud.aiplatform.utils import prediction_utils
from fastapi import HTTPException


class IrisPredictor(Predictor):
    def load(self, artifacts_uri):
        prediction_utils.download_model_artifacts(artifacts_uri)
        with open("weights.json") as file:
            self.weights = json.load(file)

    def preprocess(self, prediction_input):
        return prediction_input["instances"]

    def predict(self, instances):
        for one in instances:
            if one == "teapot":
                raise HTTPException(status_code=418, detail={"short": True}, headers={"x-spout": "left"})
            if one == "empty":
                raise HTTPException(status_code=204)
            if one == "set":
                return {1, 2} and {1}
            if one == "circle":
                found = []
                found.append(found)
                return found
        return [factor.FACTOR * one * self.weights["factor"] for one in instances]

    def postprocess(self, prediction_results):
        if isinstance(prediction_results, set):
            return prediction_results
        return {"predictions": prediction_results}
"""
CUSTOM = """
import json
from fastapi import HTTPException, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from google.cloud.aiplatform.prediction.handler import Handler, PredictionHandler
from google.cloud.aiplatform.prediction import handler_utils
from google.cloud.aiplatform.prediction.serializer import DefaultSerializer


class Ours(Handler):
    def __init__(self, artifacts_uri, predictor=None):
        self.artifacts = artifacts_uri

    async def handle(self, request: Request) -> Response:
        body = await request.body()
        word = body.decode("latin-1")
        if word == "json":
            return JSONResponse({"é": [1.5, None]}, status_code=201, headers={"X-Own": "yes"})
        if word == "text":
            return PlainTextResponse("grüezi")
        if word == "stream":
            return StreamingResponse(iter(["a", b"b"]), media_type="text/csv")
        if word == "plain":
            return {"a": [1, "é"]}
        if word == "none":
            return None
        if word == "headers":
            return JSONResponse({
                "type": handler_utils.get_content_type_from_headers(request.headers),
                "accept": request.headers.get("Accept"),
                "own": request.headers.get("X-Own"),
                "method": request.method,
                "all": sorted(k for k in request.headers.keys()),
            })
        if word == "teapot":
            raise HTTPException(418, "short\\nand stout", {"X-Spout": "left"})
        if word == "surrogate":
            raise HTTPException(400, "\\ud800")
        if word.startswith("raise"):
            raise ValueError(word)
        return Response(content=body, media_type=request.headers.get("accept"))


class Plain(PredictionHandler):
    def handle(self, request):
        return Response(content=b"never awaited")
"""
MINE = """
from google.cloud.aiplatform.prediction.predictor import Predictor

class Mine(Predictor):
    def load(self, artifacts_uri): ...
    def predict(self, instances): return instances
"""
WORDS = [
    b"",
    b"json",
    b"text",
    b"stream",
    b"plain",
    b"none",
    b"headers",
    b"teapot",
    b"surrogate",
    b"raise it",
]
NO_CHECK = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
numbers = st.integers() | st.floats(width=32)
instances = st.lists(
    numbers | st.text(max_size=5) | st.sampled_from(["teapot", "empty", "set", "circle"]) | st.none(),
    max_size=3,
)
documents = st.fixed_dictionaries({"instances": instances}) | st.recursive(
    numbers | st.text(max_size=5) | st.none(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
bodies = documents.map(lambda value: json.dumps(value).encode()) | st.binary(max_size=12)
content_types = st.sampled_from(
    [JSON, f"{JSON}; charset=utf-8", "text/csv", "APPLICATION/JSON", "", ";", f" {JSON}"]
)
accepts = st.sampled_from(
    [
        "",
        JSON,
        "*/*",
        "text/csv",
        f"text/html, {JSON};q=0.5",
        f"{JSON};q=x",
        f"{JSON};q",
        "text/*;q=1,*/*",
        ",",
        "a;b=0.1",
    ]
)
headers = st.sampled_from([{}, {"x-own": "1"}, {"contenttype": "text/x;y"}])
calls = st.builds(Call, bodies, content_types, accepts)


def seen(answer):
    return answer.status, answer.body, answer.content_type, dict(answer.headers)


def test_a_predictor_answers_any_request_as_in_googles_server(routine, load, googles) -> None:
    written = routine(IRIS, Entry("predictor:IrisPredictor"), weights__json='{"factor": 3}')
    (written.model_dir / "code/factor.py").write_text("FACTOR = 2\n")
    google, ours = googles(written), load(written)

    @settings(max_examples=150, deadline=None, database=None, suppress_health_check=NO_CHECK)
    @given(call=calls)
    def same(call: Call) -> None:
        assert seen(ours.answer(call)) == seen(google.answer(call))

    for word in ("teapot", "empty", "set", "circle", None):
        same = example(Call(json.dumps({"instances": [1, word]}).encode(), JSON))(same)
    same()
    assert ours.answer(Call(b'{"instances": [2]}', JSON)).body == b'{"predictions": [12]}'


def test_a_custom_handler_answers_any_request_as_in_googles_server(routine, load, googles) -> None:
    written = routine(CUSTOM, Entry(handler="predictor:Ours"))
    google, ours = googles(written), load(written)

    @settings(max_examples=100, deadline=None, database=None, suppress_health_check=NO_CHECK)
    @given(
        call=st.builds(Call, st.sampled_from(WORDS) | st.binary(max_size=8), content_types, accepts, headers)
    )
    def same(call: Call) -> None:
        assert seen(ours.answer(call)) == seen(google.answer(call))

    for word in WORDS:
        same = example(Call(word, JSON, "text/html", {"x-own": "1"}))(same)
    same()


PACKAGED = {
    "sklearn": "google.cloud.aiplatform.prediction.sklearn.predictor:SklearnPredictor",
    "xgboost": "google.cloud.aiplatform.prediction.xgboost:XgboostPredictor",
}


@pytest.mark.parametrize("name", ["model.joblib", "model.pkl"])
def test_the_packaged_sklearn_predictor_serves_a_pickle_and_says_that_it_is_one(
    routine, load, interpreter, capsys, name
) -> None:
    interpreter()
    written = routine("", Entry(PACKAGED["sklearn"]))
    # What scikit-learn's estimators have: a class that can be imported, and predict.
    (written.model_dir / "code/estimators.py").write_text(
        "class Doubling:\n    def predict(self, rows): return 2 * rows.sum(axis=1)\n"
    )
    sys.path.insert(0, str(written.model_dir / "code"))
    model = importlib.import_module("estimators").Doubling()
    dump = (
        joblib.dump if name == "model.joblib" else lambda value, path: path.write_bytes(pickle.dumps(value))
    )
    dump(model, written.model_dir / name)
    answer = load(written).answer(Call(b'{"instances": [[2, 3], [4, 0]]}', JSON))
    assert (answer.status, answer.body) == (200, b'{"predictions": [10, 8]}')
    assert f"{name} is a pickle" in capsys.readouterr().err


def test_the_packaged_xgboost_predictor_hands_its_model_file_and_instances_to_xgboost(routine, load) -> None:
    written = routine("", Entry(PACKAGED["xgboost"]), model__bst="2")
    # XGBoost's own three words, without its 300 MB.
    (written.model_dir / "code/xgboost.py").write_text(
        textwrap.dedent("""
        import numpy

        def DMatrix(rows):
            return numpy.asarray(rows)

        class Booster:
            def __init__(self, model_file):
                with open(model_file) as file:
                    self.factor = float(file.read())

            def predict(self, rows):
                return rows.sum(axis=1) * self.factor
        """)
    )
    answer = load(written).answer(Call(b'{"instances": [[1, 2], [3, 4]]}', JSON))
    assert (answer.status, answer.body) == (200, b'{"predictions": [6.0, 14.0]}')


def test_what_the_predictor_raised_is_in_the_answer_for_the_log(routine, load) -> None:
    ours = load(routine(IRIS.replace("import factor", "factor = 1"), Entry("predictor"), weights__json="{}"))
    answer = ours.answer(Call(b'{"instances": [2]}', JSON))
    assert (answer.status, type(answer.failure)) == (500, AttributeError)
    assert ours.answer(Call(b"[", JSON)).failure is None


def test_sys_exit_in_a_predictor_fails_its_request_alone(routine, load) -> None:
    source = MINE.replace("return instances", "import sys; sys.exit(instances)")
    answer = load(routine(source, Entry("predictor.py:Mine"))).answer(Call(b"3", JSON))
    assert (answer.status, answer.body) == (
        500,
        b'{"detail":"An exception SystemExit occurred. Arguments: (3,)."}',
    )


@pytest.mark.parametrize(
    ("source", "entry", "told"),
    [
        (MINE.replace("):", ")"), Entry("predictor"), "predictor: syntax error in predictor.py line 4"),
        (f"import nothing_like_it{MINE}", Entry("predictor"), "No module named 'nothing_like_it'"),
        (MINE, Entry("predictor:Yours"), "predictor has no class 'Yours'; expected a Predictor"),
        (
            f"{MINE}\nclass Other(Mine): pass",
            Entry("predictor"),
            "Predictor classes: Mine, Other; expected one",
        ),
        ("", Entry("predictor"), "Predictor classes: none; expected one"),
        (
            MINE.replace("def predict", "def foretell"),
            Entry("predictor"),
            "abstract method predict",
        ),
        (
            f"from google.cloud.aiplatform.prediction import LocalModel{MINE}",
            Entry("predictor"),
            "the part of google-cloud-aiplatform",
        ),
    ],
)
def test_a_routine_that_cannot_start_says_why(routine, load, source, entry, told) -> None:
    with pytest.raises(StartError, match=told):
        load(routine(source, entry))


def test_what_load_raises_ends_the_start_with_its_own_traceback(routine, load) -> None:
    written = routine(MINE.replace("): ...", "):\n        return {}['weights']"), Entry("predictor"))
    with pytest.raises(StartError, match="predictor raised KeyError: 'weights'") as caught:
        load(written)
    frames = caught.value.__cause__.__traceback__
    files = []
    while frames is not None:
        files.append(Path(frames.tb_frame.f_code.co_filename).name)
        frames = frames.tb_next
    assert files[-1] == "predictor.py"


def test_the_model_folder_is_left_as_it_is(routine, load) -> None:
    written = routine(IRIS, Entry("predictor"), weights__json='{"factor": 3}')
    (written.model_dir / "code/factor.py").write_text("FACTOR = 2\n")
    before = {
        path: path.lstat().st_mtime_ns for path in written.model_dir.rglob("*") if "pycache" not in str(path)
    }
    assert load(written).shape == "Vertex AI Predictor predictor"
    Path("factor.py").write_text("the handler's own copy")
    after = {
        path: path.lstat().st_mtime_ns for path in written.model_dir.rglob("*") if "pycache" not in str(path)
    }
    assert after == before
