"""A release in a plan: the candidate is made, asked and gone before the endpoint's first change."""

import pytest

from deploy.plan import Change, PlanError, Resource, Seen, plan, undone
from deploy.releasing import staging

MODEL, ENDPOINT = Resource("model", "x-1"), Resource("endpoint", "x", "x-1")
OLD = Resource("endpoint", "x", "x-0", needs=(("model", "x-0"),))
OLD_MODEL = Resource("model", "x-0")


def candidate(version):
    return Resource("candidate", "x-candidate", version)


def staged(desired, observed, keep=0):
    changes = staging.with_candidate(plan(desired, observed, keep), observed, candidate)
    return [f"{change.action} {change.resource.kind}" for change in changes]


def test_a_candidate_is_gone_before_the_endpoint_moves():
    assert staged([MODEL, ENDPOINT], [OLD_MODEL, OLD]) == [
        "create model",
        "create candidate",
        "delete candidate",
        "update endpoint",
        "delete model",
    ]
    assert staged([MODEL, ENDPOINT], []) == [
        "create model",
        "create candidate",
        "delete candidate",
        "create endpoint",
    ]


def test_an_endpoint_that_stays_has_no_candidate():
    assert staged([OLD_MODEL, OLD], [OLD_MODEL, OLD]) == []
    assert staged([], [OLD_MODEL, OLD]) == ["delete endpoint", "delete model"]


def test_what_a_stopped_release_left_goes_first_and_also_where_nothing_is_released():
    left = candidate("x-9")
    assert staged([MODEL, ENDPOINT], [OLD_MODEL, left, OLD])[:3] == [
        "delete candidate",
        "create model",
        "create candidate",
    ]
    assert staged([OLD_MODEL, OLD], [OLD_MODEL, left, OLD]) == ["delete candidate"]
    assert staged([], [left]) == ["delete candidate"]


def test_a_broken_endpoint_is_deleted_after_the_candidate_was_asked():
    broken = Resource("endpoint", "x", "x-0", seen=Seen(broken=True))
    assert staged([MODEL, ENDPOINT], [broken])[1:] == [
        "create candidate",
        "delete candidate",
        "delete endpoint",
        "create endpoint",
    ]


def test_a_deployment_of_the_candidate_s_name_is_no_candidate():
    strange = Resource("candidate", "x-candidate", "x-candidate-7", seen=Seen(ours=False))
    with pytest.raises(
        PlanError, match="endpoint 'x-candidate' is there already and is another deployment's"
    ):
        staged([MODEL, ENDPOINT], [strange])
    assert staged([OLD_MODEL, OLD], [OLD_MODEL, strange, OLD]) == []


def test_what_was_made_and_deleted_again_is_not_taken_back():
    beside = candidate("x-1")
    made = [Change("create", MODEL), Change("create", beside), Change("delete", beside)]
    assert undone(made) == [Change("delete", MODEL)]
    assert undone([Change("delete", ENDPOINT), Change("create", ENDPOINT)]) == [Change("delete", ENDPOINT)]
