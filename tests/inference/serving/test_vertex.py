"""The runtime as Vertex AI's container contract 1.0.0 wants it, clause by clause.

Source: cloud.google.com/vertex-ai/docs/predictions/custom-container-requirements
"""

from __future__ import annotations

import hashlib
import json
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import storage as cloud

HEALTH = "/v1/endpoints/12/deployedModels/34"
PREDICT = f"{HEALTH}:predict"
HANDLER = """
import pathlib
class Handler:
    def load(self, model_dir):
        self.weight = float(pathlib.Path(model_dir, "weights/one").read_text())
        self.here = model_dir
    def predict(self, inputs):
        if "where" in inputs:
            return [self.here for _ in inputs]
        if "fail" in inputs:
            raise RuntimeError("the model broke")
        return [one if isinstance(one, dict) else one * self.weight for one in inputs]
"""
FILES = {"code/handler.py": HANDLER.encode(), "code/samples.jsonl": b"1\n", "weights/one": b"2"}


@pytest.fixture
def there() -> Iterator[cloud.Storage]:
    with cloud.running(
        cloud.Storage({f"copy/{name}": content for name, content in FILES.items()})
    ) as running:
        yield running


@pytest.fixture
def deployed(serve: Callable[..., Any], there: cloud.Storage) -> Callable[..., Any]:
    """The runtime in a container of Vertex AI, with nothing of SageMaker's; extra variables are added."""

    def begin(**environment: str) -> Any:
        return serve(
            None,
            AIP_MODE="PREDICTION",
            AIP_HTTP_PORT="0",
            AIP_HEALTH_ROUTE=HEALTH,
            AIP_PREDICT_ROUTE=PREDICT,
            AIP_STORAGE_URI="gs://bucket/copy",
            STORAGE_EMULATOR_HOST=there.url,
            **environment,
        )

    return begin


def predict(served: Any, document: Any, **headers: str) -> Any:
    return served.call("POST", PREDICT, json.dumps(document).encode(), Content_Type="application/json")


def test_it_downloads_its_model_and_answers_on_the_routes_that_it_is_given(deployed):
    served = deployed().wait_ready()
    assert served.call("GET", HEALTH).status == 200
    answer = predict(served, {"instances": [1, 2.5], "parameters": None})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == {"predictions": [2.0, 5.0]}
    assert served.post(b"[1]").json == [2.0]  # SageMaker's route is there too


def test_health_is_no_200_before_the_model_is_there(deployed, there):
    there.faults = [503] * 3
    served = deployed()
    answer = served.call("GET", HEALTH)
    assert answer.status == 503
    served.wait_ready()


def test_an_empty_storage_uri_is_a_model_in_the_image(serve):
    served = serve(AIP_STORAGE_URI="", AIP_HEALTH_ROUTE=HEALTH, AIP_PREDICT_ROUTE=PREDICT).wait_ready()
    assert predict(served, {"instances": [1, {"a": None}]}).json == {"predictions": [1, {"a": None}]}


def test_integers_keep_all_their_digits_and_each_instance_has_its_prediction(serve):
    served = serve(AIP_PREDICT_ROUTE=PREDICT).wait_ready()
    assert predict(served, {"instances": [2**60 + 1, -1]}).body == b'{"predictions":[%d,-1]}' % (2**60 + 1)


def test_raw_predict_sends_any_type_to_the_same_route(deployed):
    served = deployed().wait_ready()
    answer = served.call("POST", PREDICT, b"1\n2\n", Content_Type="application/jsonlines")
    assert (answer.status, answer.body) == (200, b"2.0\n4.0\n")


def test_parameters_are_refused_rather_than_dropped(deployed):
    answer = predict(deployed().wait_ready(), {"instances": [1], "parameters": {"top_k": 3}})
    assert answer.status == 400
    assert answer.error == (
        "application/json: \"parameters\" is {'top_k': 3}: a handler takes instances alone; "
        "put what it needs into each instance"
    )


def test_what_was_downloaded_is_compared_with_its_manifest(deployed, there):
    listed = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
        for name, content in FILES.items()
    }
    there.objects["copy/code/manifest.json"] = json.dumps({"format": 1, "files": listed}).encode()
    served = deployed().wait_ready()
    assert "3 files are as they were packaged" in served.log
    served.stop()
    there.objects["copy/weights/one"] = b"3"
    changed = deployed()
    assert changed.status() == 1
    assert "'weights/one' has sha256" in changed.log


def test_a_model_that_cannot_be_had_ends_the_container_with_one_sentence(deployed, there):
    there.objects.clear()
    served = deployed()
    assert served.status() == 1
    assert served.log.splitlines()[-1] == (
        "slipway: error: AIP_STORAGE_URI: 'gs://bucket/copy': holds no objects; "
        "expected a model's files, or model.tar.gz"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_download_is_gone_with_the_container(deployed, tmp_path, number):
    served = deployed(TMPDIR=str(tmp_path)).wait_ready()
    here = predict(served, {"instances": ["where"]}).json["predictions"][0]
    assert here.startswith(str(tmp_path))
    assert served.stop(number) == 0
    assert not list(tmp_path.glob("slipway-model-*"))


def test_a_stop_during_the_download_is_a_stop(deployed, there):
    there.faults = [503] * 5
    served = deployed()
    assert served.stop() == 0


def test_a_batch_that_keeps_errors_answers_each_instance_in_its_place(deployed):
    served = deployed(SLIPWAY_BATCH="true", SLIPWAY_BATCH_ON_ERROR="keep").wait_ready()
    answer = predict(served, {"instances": [1, "fail", 3, None]})
    assert answer.status == 200
    kept = answer.json["predictions"]
    assert (kept[0], kept[2]) == (2.0, 6.0)
    assert "the model broke" in kept[1]["slipway_error"]
    assert "TypeError" in kept[3]["slipway_error"]


def test_a_batch_that_does_not_keep_errors_fails_as_a_whole(deployed):
    served = deployed(SLIPWAY_BATCH="true").wait_ready()
    assert predict(served, {"instances": [1, "fail"]}).status == 500
    assert predict(served, {"instances": [1]}).json == {"predictions": [2.0]}
