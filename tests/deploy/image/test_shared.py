"""What others may use, too, is made where it is missing, and by no plan taken away."""

from dataclasses import replace

import pytest

from deploy.plan import Change, PlanError, Resource, Seen, plan, undone

IMAGE = Resource("image", "slipway/serving:0123456789abcdef", shared=True)
MODEL = Resource("model", "iris-0123456789ab")


def test_it_is_made_before_what_needs_it() -> None:
    assert plan([IMAGE, MODEL], []) == [Change("create", IMAGE), Change("create", MODEL)]
    assert plan([IMAGE, MODEL], [IMAGE]) == [Change("create", MODEL)]


@pytest.mark.parametrize("desired", [[], [MODEL]])
def test_it_stays_where_it_is_not_desired(desired: list[Resource]) -> None:
    assert plan(desired, [IMAGE, MODEL]) == [Change("delete", MODEL)][: not desired]


def test_what_was_made_in_vain_is_taken_back_without_it() -> None:
    assert undone([Change("create", IMAGE), Change("create", MODEL)]) == [Change("delete", MODEL)]


def test_it_is_still_not_somebody_else_s() -> None:
    with pytest.raises(PlanError, match="is not this deployment's"):
        plan([IMAGE], [replace(IMAGE, seen=Seen(ours=False))])
