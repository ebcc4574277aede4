"""Changes that fail or are refused: what was made for them is taken back, and the reason told."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse
from botocore.config import Config

from deploy import aws, config, package, rollout
from deploy.aws import clients, errors, waiting
from deploy.plan import Change, Resource
from deploy.target import CloudError, NotServed, Refused

BUCKET = "slipway-tests"
BROKEN = """\
class Handler:
    def load(self, model_dir):
        raise RuntimeError("the weights are of another model")

    def predict(self, inputs):
        return inputs
"""


def test_a_version_that_fails_leaves_the_old_one_serving_and_shows_the_traceback(
    iris, deploy, held, asked, capsys
):
    assert deploy(iris) == 0
    before = held("iris")
    (iris / "inference/handler.py").write_text(BROKEN)
    capsys.readouterr()
    assert deploy(iris) == 1
    told = capsys.readouterr().err
    assert "RuntimeError: the weights are of another model" in told
    assert 'raise RuntimeError("the weights are of another model")' in told
    assert "did not pass the ping health check" in told.splitlines()[-1]
    assert held("iris") == before
    assert asked("iris") == "2"


def test_a_first_version_that_fails_leaves_nothing_but_its_log(iris, deploy, held, capsys):
    (iris / "inference/handler.py").write_text(BROKEN)
    assert deploy(iris) == 1
    assert "RuntimeError: the weights are of another model" in capsys.readouterr().err
    assert held("iris") == set()
    assert deploy(iris, "logs") == 0
    assert "RuntimeError" in capsys.readouterr().out


def test_an_endpoint_that_was_left_failed_is_made_anew(iris, deploy, held, asked):
    (iris / "inference/handler.py").write_text(BROKEN)
    settings = config.load(iris)
    wanted = aws.desired(settings, _built(iris))
    for resource in wanted[:3]:
        aws.apply(settings, Change("create", resource), lambda state: None)
    with pytest.raises(NotServed):
        aws.apply(settings, Change("create", wanted[3]), lambda state: None)
    assert "endpoint iris" in held("iris")
    (iris / "inference/handler.py").write_text(BROKEN.replace("raise RuntimeError", "str"))
    assert deploy(iris) == 0
    assert asked("iris") == "1"
    assert len(held("iris")) == 4


def _built(place: Path) -> package.Archive:
    return package.build(place / "build/model", place / "inference", place / "build/model.tar.gz")


def described(status: str, version: str = "old") -> dict[str, Any]:
    return {"EndpointStatus": status, "EndpointConfigName": version}


MOVE = Change("update", Resource("endpoint", "iris", "new"))
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


def test_an_update_that_was_rolled_back_is_no_success_though_it_is_in_service():
    waiting.verify(described("InService", "new"), MOVE, SINCE)
    with pytest.raises(NotServed, match="did not take new: SageMaker gives no reason .it still serves old"):
        waiting.verify(described("InService"), MOVE, SINCE)


def test_a_rollback_that_failed_is_terminal_and_neither_version_is_taken_away():
    with pytest.raises(CloudError, match="is UpdateRollbackFailed: it serves a mix of two versions") as stuck:
        waiting.verify(described("UpdateRollbackFailed"), MOVE, SINCE)
    done = [Change("create", Resource("endpoint_config", "new"))]
    assert rollout.made_in_vain(done, MOVE, stuck.value) == []


def test_what_is_taken_back_is_what_surely_nothing_needs():
    config_made = Change("create", Resource("endpoint_config", "new"))
    model_failed = Change("create", Resource("model", "new"))
    failed = Change("create", Resource("endpoint", "iris", "new"))
    sweep = Change("delete", Resource("model", "old"))
    assert rollout.made_in_vain([config_made], failed, NotServed("", SINCE)) == [config_made, failed]
    assert rollout.made_in_vain([config_made], failed, Refused("")) == [config_made]
    assert rollout.made_in_vain([config_made], failed, CloudError("")) == []
    assert rollout.made_in_vain([config_made], model_failed, CloudError("")) == [config_made, model_failed]
    assert rollout.made_in_vain([config_made], sweep, Refused("")) == []


def test_a_bucket_that_is_not_there_is_refused_before_anything_is_made(iris, deploy, held, capsys):
    _edit(iris, BUCKET, "slipway-nowhere")
    assert deploy(iris) == 1
    assert capsys.readouterr().err == (
        "error: deploy.toml: [aws]: bucket 'slipway-nowhere' is not there: create it in account "
        "123456789012, or name another\n"
    )
    assert held("iris") == set()
    assert not (iris / "build/model.tar.gz").exists()


def test_a_bucket_of_another_account_is_refused_before_anything_is_made(
    iris, deploy, held, local_cloud, capsys
):
    local_cloud.client("s3", account="999999999999").create_bucket(Bucket="slipway-of-others")
    _edit(iris, BUCKET, "slipway-of-others")
    assert deploy(iris) == 1
    assert (
        "bucket 'slipway-of-others' belongs to another account than 123456789012" in capsys.readouterr().err
    )
    assert held("iris") == set()


def test_a_bucket_in_another_region_is_refused_before_anything_is_made(
    iris, deploy, held, capsys, local_cloud
):
    abroad = {"LocationConstraint": "eu-west-1"}
    local_cloud.client("s3", "eu-west-1").create_bucket(
        Bucket="slipway-abroad", CreateBucketConfiguration=abroad
    )
    _edit(iris, BUCKET, "slipway-abroad")
    assert deploy(iris) == 1
    assert "'slipway-abroad' is in eu-west-1, expected one in us-east-1" in capsys.readouterr().err
    assert held("iris") == set()


def test_a_destroy_that_left_something_is_no_success(iris, deploy, held, capsys, fresh):
    assert deploy(iris) == 0
    _answering(fresh(), "DeleteModel", 200, "ignored")
    assert deploy(iris, "destroy", "--yes") == 1
    left = held("iris")
    assert {thing.split()[0] for thing in left} == {"model"}
    assert f"still there: {left.pop()}; give the same command again" in capsys.readouterr().err
    fresh()


def test_a_role_that_is_not_there_is_refused_and_what_was_made_is_taken_back(iris, deploy, held, capsys):
    _edit(iris, "role/slipway-execution", "role/nobody")
    assert deploy(iris) == 1
    assert "nobody" in capsys.readouterr().err.splitlines()[-1]
    assert held("iris") == set()


def test_without_credentials_one_sentence_says_how_to_get_them(project, deploy, fresh, capsys, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    fresh()
    assert deploy(project("iris")) == 1
    told = capsys.readouterr().err
    assert told.startswith("error: no AWS credentials were found: log in with `aws configure sso`")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (
            400,
            "ExpiredTokenException",
            "error: the AWS credentials were not accepted (ExpiredTokenException: no)",
        ),
        (
            400,
            "AccessDeniedException",
            "error: no (AccessDeniedException): whoever runs this needs that permission",
        ),
        (400, "ThrottlingException", "error: AWS is asked too often (ThrottlingException, tried 2 times)"),
        (500, "InternalFailure", "error: no (InternalFailure, tried 2 times)"),
    ],
)
def test_an_error_half_way_is_told_and_what_was_made_is_taken_back(
    fresh, iris, deploy, held, capsys, monkeypatch, status, code, message
):
    monkeypatch.setattr(clients, "SETTINGS", clients.SETTINGS.merge(_quick()))
    _answering(fresh(), "CreateEndpointConfig", status, code)
    assert deploy(iris) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(message)
    assert held("iris") == set()


def _quick() -> Config:
    return Config(retries={"mode": "adaptive", "total_max_attempts": 2})


def _answering(session: Any, operation: str, status: int, code: str) -> None:
    """From now on the operation is answered so, as by the service."""

    class Body:
        def stream(self) -> Iterator[bytes]:
            yield f'{{"__type": "{code}", "message": "no"}}'.encode()

    def answer(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {}, Body())

    session.events.register(f"before-send.sagemaker.{operation}", answer)


def _edit(place: Path, old: str, new: str) -> None:
    text = (place / "deploy.toml").read_text()
    assert old in text
    (place / "deploy.toml").write_text(text.replace(old, new))


def test_a_stop_while_it_is_taken_back_is_told_and_the_reason_is_not_lost(capsys):
    class Stopping:
        def apply(self, config: Any, change: Change, say: Any) -> None:
            if change.action == "delete":
                raise KeyboardInterrupt
            if change.resource.kind == "endpoint_config":
                raise Refused("no more of these")

    wanted = [Change("create", Resource("model", "m")), Change("create", Resource("endpoint_config", "c"))]
    with pytest.raises((Refused, KeyboardInterrupt)) as ended:
        rollout.make(rollout.Place(Stopping(), None), wanted)
    assert str(ended.value) == "no more of these"
    assert "not all of it could be taken back (stopped); the next deploy" in capsys.readouterr().err


def test_a_wrong_instance_type_is_told_without_every_right_one():
    every = ", ".join(f"ml.x{number}.large" for number in range(300))
    text = f"Value 'ml.m7.large' at 'instanceType': Member must satisfy enum value set: [{every}]"
    told = errors.refusal({"Error": {"Code": "ValidationException", "Message": text}})
    assert told.startswith("Value 'ml.m7.large' at 'instanceType'")
    assert told.endswith(
        "enum value set: [ml.x0.large, ml.x1.large, ml.x2.large, ml.x3.large, ml.x4.large, "
        "ml.x5.large, ml.x6.large, ml.x7.large, …] (ValidationException)"
    )
