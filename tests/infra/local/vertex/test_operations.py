"""Long-running operations: work that ends, fails, is waited for, and is cancelled."""

import threading

import pytest

from infra.local.vertex.errors import GoogleError
from infra.local.vertex.operations import Operation, Operations

OWNER = "projects/1/locations/us-central1"


@pytest.fixture
def operations():
    held = Operations()
    yield held
    held.close(10)


def ended(operations, begun):
    return operations.wait(begun["name"], 20)


def test_work_that_is_done_at_once_is_answered_as_done(operations):
    begun = operations.begin(OWNER, "UploadModel", lambda operation: {"model": "m"}, "UploadModelResponse")
    assert begun["done"]
    assert begun["response"]["model"] == "m"
    assert begun["response"]["@type"].endswith(".UploadModelResponse")


def test_work_that_takes_time_can_be_waited_for(operations):
    go = threading.Event()
    begun = operations.begin(OWNER, "Delete", lambda operation: {"waited": go.wait(20)})
    assert "done" not in begun
    assert "done" not in operations.wait(begun["name"], 0)
    go.set()
    assert ended(operations, begun)["done"]


@pytest.mark.parametrize(
    ("failure", "code", "said"),
    [(GoogleError("NOT_FOUND", "gone"), 5, "gone"), (KeyError("x"), 13, "KeyError: 'x'")],
)
def test_work_that_fails_is_the_operation_s_error(operations, failure, code, said):
    def work(operation):
        raise failure

    error = ended(operations, operations.begin(OWNER, "Delete", work))["error"]
    assert error == {"code": code, "message": said}


def test_work_that_looks_whether_it_is_cancelled_ends_as_cancelled(operations):
    def work(operation):
        assert operation.cancelled.wait(20)
        operation.check()
        return {}

    begun = operations.begin(OWNER, "DeployModel", work)
    operations.find(begun["name"]).cancel()
    assert ended(operations, begun)["error"] == {"code": 1, "message": "The operation was cancelled."}


def test_a_cancelled_operation_calls_what_was_registered_before_and_after():
    operation, called = Operation("o", "DeployModel"), []
    operation.on_cancel(lambda: called.append("before"))
    assert called == []
    operation.check()
    operation.cancel()
    operation.on_cancel(lambda: called.append("after"))
    assert called == ["before", "after"]
    with pytest.raises(GoogleError, match="cancelled"):
        operation.check()


def test_an_operation_that_has_ended_cannot_be_cancelled():
    operation, called = Operation("o", "DeployModel"), []
    operation.on_cancel(lambda: called.append("too late"))
    operation.finish({"response": {}})
    operation.cancel()
    assert called == []
    assert not operation.cancelled.is_set()


def test_an_operation_is_found_and_forgotten_by_its_name(operations):
    begun = operations.begin(f"{OWNER}/models/7", "Delete", lambda operation: {})
    assert [one["name"] for one in operations.all_of(f"{OWNER}/models/7")] == [begun["name"]]
    assert operations.all_of(f"{OWNER}/models/77") == []
    operations.forget(begun["name"])
    with pytest.raises(GoogleError, match="does not exist"):
        operations.find(begun["name"])
