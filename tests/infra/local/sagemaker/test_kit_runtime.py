"""Slipway's own runtime as the image, packed as deploy packs it: code, weights and a manifest."""

import hashlib
import json
import threading
import time

import pytest

HANDLER = """
import json, pathlib, time
class Handler:
    def load(self, model_dir):
        self.factor = json.loads(pathlib.Path(model_dir, "weights.json").read_text())
    def predict(self, instances):
        end = time.monotonic() + max(0, -instances[0])
        while time.monotonic() < end:
            sum(range(100))
        return [self.factor * one for one in instances]
"""


def packed(cloud, handler, **more):
    files = {
        "weights.json": "3",
        "code/handler.py": handler,
        "code/requirements.txt": "",
        "code/samples.jsonl": "1\n2\n",
        **more,
    }
    listed = {
        name: {"sha256": hashlib.sha256(text.encode()).hexdigest(), "size": len(text.encode())}
        for name, text in files.items()
    }
    manifest = json.dumps({"files": listed, "format": 1}, sort_keys=True, separators=(",", ":"))
    return {**files, "code/manifest.json": manifest}, hashlib.sha256(manifest.encode()).hexdigest()


def deployed(cloud, files, digest, wait=True):
    key = f"{cloud.name('kit')}/model.tar.gz"
    model = cloud.model(
        {"SLIPWAY_MANIFEST_SHA256": digest},
        Image=cloud.kit_image,
        ModelDataUrl=cloud.archive(cloud.packed(**files), key),
    )
    return cloud.endpoint(cloud.config(model), wait=wait)


def test_a_handler_is_served(cloud):
    name = deployed(cloud, *packed(cloud, HANDLER))
    answer = cloud.runtime.invoke_endpoint(EndpointName=name, Body="[1, 2.5]", ContentType="application/json")
    assert json.loads(answer["Body"].read()) == [3, 7.5]
    assert answer["ContentType"] == "application/json"


def test_row_9_a_handler_that_computes_stays_in_service_and_the_next_request_waits(cloud):
    """Row 9 of the faults, through the platform."""
    name = deployed(cloud, *packed(cloud, HANDLER))
    request = {"EndpointName": name, "ContentType": "application/json"}
    busy = threading.Thread(target=cloud.runtime.invoke_endpoint, kwargs={**request, "Body": "[-1]"})
    busy.start()
    time.sleep(0.8)  # longer than the limit of a ping and the time between two
    answer = cloud.runtime.invoke_endpoint(**request, Body="[2]")
    busy.join()
    assert json.loads(answer["Body"].read()) == [6]


@pytest.mark.parametrize(
    ("handler", "said"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("class Handler: pass", "predict"),
        ("class Handler:\n  def load(self, d): raise ValueError('bad weights')\n", "bad weights"),
        (HANDLER.replace("return [", "1 / 0; return ["), "ZeroDivisionError"),
    ],
    ids=["import", "no predict", "load", "sample"],
)
def test_row_5_a_broken_handler_makes_the_endpoint_failed_with_its_traceback_in_the_log(cloud, handler, said):
    """Row 5 of the faults."""
    if "raise" in handler:
        handler += "  def predict(self, i): return i\n"
    name = deployed(cloud, *packed(cloud, handler), wait=False)
    reason = cloud.settled(name, "Failed")["FailureReason"]
    assert reason.endswith(
        "did not pass the ping health check. Please check CloudWatch logs for this endpoint."
    )
    assert said in cloud.log_of(name)


def test_row_18_a_file_that_is_not_the_manifest_s_is_found_before_the_handler_runs(cloud):
    """Row 18 of the faults, as the container sees it."""
    files, digest = packed(cloud, HANDLER + "\nprint('the handler runs')\n")
    name = deployed(cloud, {**files, "weights.json": "4"}, digest, wait=False)
    cloud.settled(name, "Failed")
    said = cloud.log_of(name)
    assert "weights.json" in said
    assert "the handler runs" not in said


def test_row_27_a_failed_update_keeps_the_old_version_serving(cloud):
    """Row 27 of the faults, as SageMaker bears it."""
    name = deployed(cloud, *packed(cloud, HANDLER))
    files, digest = packed(cloud, "raise RuntimeError('not this one')")
    url = cloud.archive(cloud.packed(**files), "bad/model.tar.gz")
    bad = cloud.model({"SLIPWAY_MANIFEST_SHA256": digest}, Image=cloud.kit_image, ModelDataUrl=url)
    cloud.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=cloud.config(bad))
    described = cloud.settled(name, "InService")
    assert "did not pass the ping health check" in described["FailureReason"]
    answer = cloud.runtime.invoke_endpoint(EndpointName=name, Body="[1]", ContentType="application/json")
    assert json.loads(answer["Body"].read()) == [3]
    assert "not this one" in cloud.log_of(name)
