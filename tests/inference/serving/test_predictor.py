"""The handler's steps, without HTTP."""

from __future__ import annotations

import errno

import pytest

from inference.serving.codecs import inputs
from inference.serving.errors import BadBody, BadPredictions, HandlerFailed, Unavailable
from inference.serving.predictor import Predictor, timed


def predictor(predict=lambda x: x, preprocess=None, postprocess=None):
    return Predictor(inputs.to_list, preprocess, predict, postprocess)


def raising(error):
    def step(_):
        raise error

    return step


def test_steps_run_in_order_and_each_is_timed():
    phases = {}
    steps = predictor(
        lambda x: [*x, "p"][:1] * len(x), lambda x: ["pre", *x[1:]], lambda x: [f"{x[0]}-post"] * len(x)
    )
    assert steps.predictions(["a", "b"], phases) == ["pre-post", "pre-post"]
    assert set(phases) == {"preprocess", "predict", "postprocess"}
    assert all(seconds >= 0 for seconds in phases.values())


def test_no_instances_make_no_call():
    assert predictor(raising(AssertionError())).predictions([], {}) == []


@pytest.mark.parametrize("error", [ValueError("v"), TypeError("t"), KeyError("k")])
def test_what_preprocess_refuses_is_the_callers_mistake(error):
    with pytest.raises(BadBody, match=type(error).__name__):
        predictor(preprocess=raising(error)).predictions([1], {})


@pytest.mark.parametrize("error", [ZeroDivisionError("z"), MemoryError(), SystemExit(2)])
def test_anything_else_is_the_handlers(error):
    with pytest.raises(HandlerFailed, match="preprocess raised " + type(error).__name__):
        predictor(preprocess=raising(error)).predictions([1], {})


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["preprocess", "predict", "postprocess"])
def test_a_full_disk_is_the_machines_trouble(number, step):
    """Row 29 of the faults. In a container with a full disk: tests/infra/image/test_serving.py."""
    full = raising(OSError(number, "No space left on device"))
    with pytest.raises(Unavailable, match=f"{step} raised OSError: .*No space left") as refused:
        predictor(**{step: full}).predictions([1], {})
    assert (refused.value.status, refused.value.code) == (503, "disk_full")


def test_another_failure_of_the_system_is_the_handlers():
    with pytest.raises(HandlerFailed):
        predictor(raising(OSError(errno.EACCES, "Permission denied"))).predictions([1], {})


class Unreadable(Exception):
    def __str__(self):
        raise SystemExit


def test_an_exception_whose_message_cannot_be_read_is_reported_all_the_same():
    with pytest.raises(HandlerFailed, match="predict raised Unreadable: <its message cannot be read>"):
        predictor(raising(Unreadable())).predictions([1], {})


def test_predict_is_never_the_callers_mistake():
    with pytest.raises(HandlerFailed, match="predict raised ValueError: v"):
        predictor(raising(ValueError("v"))).predictions([1], {})


def test_a_phase_that_comes_again_is_added():
    phases = {"decode": 5.0}
    with timed(phases, "decode"):
        pass
    assert phases["decode"] > 5.0


def test_a_failing_step_is_timed_too():
    phases = {}
    with pytest.raises(HandlerFailed):
        predictor(raising(ValueError("v"))).predictions([1], phases)
    assert "predict" in phases


@pytest.mark.parametrize("returned", [[1], [1, 2, 3], (1,), None, 5, "ab", {"a": 1, "b": 2}, iter([1, 2])])
def test_anything_but_one_prediction_an_instance_is_refused(returned):
    with pytest.raises(BadPredictions, match="predict returned"):
        predictor(lambda _: returned).predictions(["x", "y"], {})


def test_the_last_step_is_the_one_that_is_counted():
    assert predictor(lambda x: x[0], postprocess=lambda x: [x, x]).predictions([1, 1], {}) == [1, 1]
    with pytest.raises(BadPredictions, match="postprocess returned 1 predictions for 2"):
        predictor(postprocess=lambda x: x[:1]).predictions([1, 1], {})
