"""Handlers of other servers behind the real process: what they answer is what comes back."""

from __future__ import annotations

import json

import pytest

SAGEMAKER = """
import json, os

def model_fn(model_dir):
    return 3

def input_fn(body, content_type):
    assert isinstance(body, str) == (content_type in ("application/json", "text/csv"))
    return json.loads(body)

def predict_fn(data, model):
    if data == "fail": raise RuntimeError("the old one broke")
    if data == "pid": return os.getpid()
    return [model * one for one in data]

def output_fn(prediction, accept):
    return json.dumps({"was": prediction}), "application/x-own"
"""
PREDICTOR = """
from google.cloud.aiplatform.prediction.predictor import Predictor

class Mine(Predictor):
    def load(self, artifacts_uri): self.factor = 4
    def predict(self, instances): return [self.factor * one for one in instances["instances"]]
    def postprocess(self, prediction): return {"predictions": prediction}
"""
TORCHSERVE = """
from ts.torch_handler.base_handler import BaseHandler

class Mine(BaseHandler):
    def initialize(self, context): self.initialized = True
    def preprocess(self, data): return [row.get("body") for row in data]
    def inference(self, data): return [[len(data), 5 * one["x"]] for one in data]
    def postprocess(self, data): return data
"""
HUGGING = """
class EndpointHandler:
    def __init__(self, path): pass
    def __call__(self, data): return [{"label": data["inputs"] + "!"}]
"""


def serve_old(serve, name: str, text: str, samples: str | None = None, **environment: str):
    return serve(None, samples, {name: text}, **environment)


def test_sagemaker_s_functions(serve):
    served = serve_old(serve, "inference.py", SAGEMAKER, "[1]\n[2]\n").wait_ready()
    assert "inference.py line 4: SageMaker's functions: served as SageMaker inference.py" in served.log
    assert "2 samples answered" in served.log
    answer = served.post(b"[1, 2]")
    assert (answer.headers["content-type"], answer.json) == ("application/x-own", {"was": [3, 6]})
    failed = served.post(b'"fail"')
    assert failed.status == 500
    assert "the old one broke" in served.log and "inference.py" in served.log
    assert served.post(b"[1]").json == {"was": [3]}


def test_workers_share_an_old_handler_s_model_too(serve, until):
    served = serve_old(serve, "inference.py", SAGEMAKER, SLIPWAY_WORKERS="2").wait_ready()
    found: set[int] = set()
    until(lambda: found.add(served.post(b'"pid"').json["was"]) or len(found) == 2)


def test_a_vertex_predictor(serve):
    served = serve_old(serve, "predictor.py", PREDICTOR, '{"instances": [1]}\n').wait_ready()
    assert served.post(b'{"instances": [1, 2]}').json == {"predictions": [4, 8]}


def test_a_torchserve_handler_gets_what_came_together_as_one_list(serve):
    served = serve_old(serve, "model_handler.py", TORCHSERVE).wait_ready()
    assert served.post(b'{"x": 2}').json == [1, 10]


def test_a_hugging_face_handler(serve):
    served = serve_old(serve, "handler.py", HUGGING, '{"inputs": "a"}\n').wait_ready()
    assert served.post(b'{"inputs": "b"}').json == [{"label": "b!"}]


def test_what_could_be_two_handlers_is_an_error_that_names_both(serve):
    served = serve(None, None, {"inference.py": SAGEMAKER, "handler.py": HUGGING})
    assert served.status() == 1
    assert "inference.py line 4: SageMaker's functions" in served.log
    assert "handler.py line 2: a Hugging Face EndpointHandler" in served.log
    chosen = serve(
        None, None, {"inference.py": SAGEMAKER, "handler.py": HUGGING}, SLIPWAY_HANDLER="inference.py"
    )
    assert chosen.wait_ready().post(b"[1]").json == {"was": [3]}


def test_a_sample_that_an_old_handler_does_not_answer_ends_the_start(serve):
    served = serve_old(serve, "inference.py", SAGEMAKER, '[1]\n"fail"\n')
    assert served.status() == 1
    last = served.log.strip().splitlines()[-1]
    assert last.startswith("slipway: error: code/samples.jsonl line 2: answered 500")
    assert 'raise RuntimeError("the old one broke")' in served.log


def test_a_job_s_container_scores_records_with_one(serve):
    samples = "[1]\n"
    environment = {"SAGEMAKER_BATCH": "true", "SLIPWAY_BATCH_ON_ERROR": "keep"}
    served = serve_old(serve, "inference.py", SAGEMAKER, samples, **environment).wait_ready()
    assert "in a job SageMaker inference.py gets text/csv and" in served.log
    assert "code/samples.jsonl: 1 samples answered" in served.log
    answer = served.post(b'[1]\n"fail"\n[2, 3]\n', "application/jsonlines")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/jsonlines")
    first, failed, last = answer.body.splitlines()
    assert (first, last) == (b'{"was": [3]}', b'{"was": [6, 9]}')
    assert json.loads(failed) == {
        "slipway_error": "the handler answered 500: RuntimeError: the old one broke"
    }
    assert 'raise RuntimeError("the old one broke")' in served.log
    # Another job than ours sends what its handler reads, and gets what that answers.
    answer = served.post(b"[1, 2]")
    assert (answer.headers["content-type"], answer.json) == ("application/x-own", {"was": [3, 6]})


def test_a_record_that_one_refuses_fails_its_request_where_failures_are_not_kept(serve):
    served = serve_old(serve, "inference.py", SAGEMAKER, SAGEMAKER_BATCH="true").wait_ready()
    answer = served.post(b'[1]\n"fail"\n', "application/jsonlines")
    assert answer.status == 500
    assert answer.error == "record 2: the handler answered 500: RuntimeError: the old one broke"


def test_a_sample_that_one_does_not_answer_ends_a_job_s_container(serve):
    served = serve_old(serve, "inference.py", SAGEMAKER, '[1]\n"fail"\n', SAGEMAKER_BATCH="true")
    assert served.status() == 1
    last = served.log.strip().splitlines()[-1]
    assert last.startswith("slipway: error: code/samples.jsonl line 2: answered 500")
    assert 'raise RuntimeError("the old one broke")' in served.log


def test_an_old_handler_s_answers_are_cached_by_what_it_was_asked(serve):
    served = serve_old(serve, "inference.py", SAGEMAKER, SLIPWAY_CACHE="9", SLIPWAY_WORKERS="1").wait_ready()
    for attributes in ("a", "a", "b"):
        served.post(b"[1]", X_Amzn_SageMaker_Custom_Attributes=attributes)
    assert served.metric("slipway_cache_hits_total") == 1


@pytest.mark.parametrize("accept", ["application/json", ""])
def test_compressed_bodies_are_refused_for_old_handlers_too(serve, accept):
    served = serve_old(serve, "inference.py", SAGEMAKER).wait_ready()
    assert served.post(b"[1]", Content_Encoding="gzip", Accept=accept).status == 415
    assert json.loads(served.post(b"[1]", Accept=accept).body) == {"was": [3]}
