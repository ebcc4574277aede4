"""`latency` on Vertex AI: the phases by headers of rawPredict, which the local cloud hands on."""

import re
import time

from deploy import config, gcp
from deploy.gcp import clients
from deploy.target import Request

HANDLER = """\
import time


class Handler:
    def load(self, model_dir):
        pass

    def preprocess(self, instances):
        time.sleep(0.05)
        return instances

    def predict(self, inputs):
        return inputs
"""


def test_the_step_that_is_slow_has_the_largest_share(iris, deploy, capsys):
    (iris / "inference/handler.py").write_text(HANDLER)
    assert deploy(iris) == 0
    capsys.readouterr()
    assert deploy(iris, "latency", "--times", "5") == 0
    told = capsys.readouterr().out
    assert "10 answers, 1 at once" in told
    shares = dict(re.findall(r"^  (\w+)(?: and platform)? .* (\d+)%$", told, re.MULTILINE))
    assert len(shares) == 7, told
    container = {name: int(share) for name, share in shares.items() if name != "network"}
    assert max(container, key=lambda name: container[name]) == "preprocess"


def test_many_requests_take_one_look_at_the_endpoint(iris, deploy, monkeypatch):
    assert deploy(iris) == 0
    chosen = config.load(iris)
    call = gcp.caller(chosen)
    with monkeypatch.context() as nobody:
        # Whoever looks the endpoint up again finds nobody there.
        nobody.setenv(f"{clients.OVERRIDE}AIPLATFORM", "http://127.0.0.1:9")
        clients.endpoints.cache_clear()
        start = time.perf_counter()
        answer = call(Request(b"1", "application/jsonlines", timed=True))
        took_ms = (time.perf_counter() - start) * 1000
        assert call(Request(b"1", "application/jsonlines")).told is None
    clients.endpoints.cache_clear()
    assert answer.body == b"2\n"
    assert answer.told and answer.told.batch == 1
    assert sum(answer.told.phases.values()) < answer.took_ms < took_ms
