"""The plan, held against a cloud that is a dictionary: whatever happened before, one more plan converges."""

import dataclasses
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.plan import (
    Change,
    PlanError,
    Resource,
    Seen,
    is_version_of,
    kept,
    older,
    plan,
    undone,
    versioned,
    whole,
)

KINDS = ["archive", "model", "endpoint_config", "endpoint"]


def desired(version: int, name: str = "iris") -> list[Resource]:
    """What a version wants. Versions 2n and 2n + 1 differ in their endpoint configuration alone."""
    archive = f"{name}/{version // 2:012x}/model.tar.gz"
    model, config = versioned(name, ["model", version // 2]), versioned(name, ["config", version])
    return [
        Resource("archive", archive),
        Resource("model", model, needs=(("archive", archive),)),
        Resource("endpoint_config", config, needs=(("model", model),)),
        Resource("endpoint", name, config, needs=(("endpoint_config", config),)),
    ]


@dataclass
class Cloud:
    """Does what a plan says, and refuses to be left in pieces."""

    there: dict[tuple[str, str], Resource] = field(default_factory=dict)
    clock: int = 0

    def observed(self) -> list[Resource]:
        return sorted(self.there.values(), key=lambda r: (KINDS.index(r.kind), r.name))

    def now(self) -> str:
        self.clock += 1
        return f"{self.clock:06}"

    def apply(self, change: Change) -> None:
        resource = change.resource
        if change.action == "create":
            assert resource.key not in self.there
            self.there[resource.key] = dataclasses.replace(resource, seen=Seen(created=self.now()))
        elif change.action == "update":
            old = self.there[resource.key]
            for key in old.needs:
                seen = dataclasses.replace(self.there[key].seen, served=self.now())
                self.there[key] = dataclasses.replace(self.there[key], seen=seen)
            self.there[resource.key] = dataclasses.replace(resource, seen=old.seen)
        else:
            del self.there[resource.key]
        for resource in self.there.values():
            assert all(key in self.there for key in resource.needs), f"{change} broke {resource}"


def deploy(cloud: Cloud, version: int, keep: int, steps: int | None = None) -> None:
    for change in plan(desired(version), cloud.observed(), keep)[:steps]:
        cloud.apply(change)


deploys = st.lists(st.tuples(st.integers(0, 7), st.none() | st.integers(0, 6)), max_size=8)


@given(deploys, st.integers(0, 7), st.integers(0, 3))
@settings(deadline=None)
def test_whatever_was_stopped_before_one_more_deploy_converges_with_nothing_orphaned(history, last, keep):
    cloud = Cloud()
    for version, steps in history:
        deploy(cloud, version, keep, steps)
    deploy(cloud, last, keep)
    wanted = desired(last)
    assert plan(wanted, cloud.observed(), keep) == []
    stays = {r.key for r in wanted} | kept(wanted, cloud.observed(), keep)
    assert set(cloud.there) == stays
    assert len({key for key in stays if key[0] == "endpoint_config"}) <= keep + 1


@given(deploys, st.integers(0, 3))
@settings(deadline=None)
def test_destroy_leaves_nothing_whatever_was_stopped_before(history, keep):
    cloud = Cloud()
    for version, steps in history:
        deploy(cloud, version, keep, steps)
    for change in plan([], cloud.observed()):
        cloud.apply(change)
    assert cloud.there == {}


@given(st.lists(st.integers(0, 7), min_size=1, max_size=8), st.integers(1, 3))
@settings(deadline=None)
def test_the_last_versions_that_served_are_kept_whole(history, keep):
    cloud = Cloud()
    for version in history:
        deploy(cloud, version, keep)
    distinct = list(dict.fromkeys(reversed(history)))[: keep + 1]
    configs = {name for kind, name in cloud.there if kind == "endpoint_config"}
    assert configs == {desired(version)[2].name for version in distinct}
    assert all(whole(("endpoint_config", name), cloud.observed()) for name in configs)


@given(st.integers(0, 7))
def test_nothing_is_to_change_where_all_is_as_desired(version):
    assert plan(desired(version), desired(version)) == []


def test_the_first_deploy_creates_from_what_is_depended_on_to_what_depends_on_it():
    assert plan(desired(0), []) == [Change("create", resource) for resource in desired(0)]


def test_the_endpoint_moves_before_anything_is_deleted():
    new, old = desired(2), desired(0)
    assert plan(new, old, keep=0) == [
        Change("create", new[0]),
        Change("create", new[1]),
        Change("create", new[2]),
        Change("update", new[3]),
        Change("delete", old[2]),
        Change("delete", old[1]),
        Change("delete", old[0]),
    ]


def test_the_version_in_service_is_kept_though_it_was_not_replaced_yet():
    assert [change.action for change in plan(desired(2), desired(0), keep=1)] == [
        "create",
        "create",
        "create",
        "update",
    ]


def test_an_archive_that_two_versions_share_is_kept_for_the_one_that_stays():
    assert plan(desired(1), desired(0), keep=0) == [
        Change("create", desired(1)[2]),
        Change("update", desired(1)[3]),
        Change("delete", desired(0)[2]),
    ]


def test_a_version_that_never_served_is_not_kept():
    failed = desired(2)[:3]
    assert [c.resource for c in plan(desired(0), [*desired(0)[:3], *failed, desired(0)[3]], keep=2)] == [
        *reversed(failed)
    ]


def test_a_version_whose_model_is_gone_is_not_kept():
    orphan = dataclasses.replace(desired(2)[2], seen=Seen(served="2026"))
    assert plan(desired(0), [*desired(0)[:3], orphan, desired(0)[3]], keep=2) == [Change("delete", orphan)]


def test_a_failed_endpoint_is_deleted_before_it_is_created_again():
    failed = dataclasses.replace(desired(0)[3], seen=Seen(broken=True))
    changes = plan(desired(0), [*desired(0)[:3], failed])
    assert changes == [Change("delete", failed), Change("create", desired(0)[3])]


def test_a_failed_endpoint_keeps_no_version_it_never_served():
    failed = dataclasses.replace(desired(0)[3], seen=Seen(broken=True))
    deleted = [
        c.resource for c in plan(desired(2), [*desired(0)[:3], failed], keep=2) if c.action == "delete"
    ]
    assert deleted == [failed, *reversed(desired(0)[:3])]


@pytest.mark.parametrize("index", range(4))
def test_what_is_not_ours_is_refused_where_it_is_wanted_and_named(index):
    stranger = dataclasses.replace(desired(0)[index], seen=Seen(ours=False))
    with pytest.raises(
        PlanError, match=f"{stranger.kind} '{stranger.name}' is there already and is not this"
    ):
        plan(desired(0), [stranger])


def test_what_is_not_ours_is_never_deleted():
    strangers = [dataclasses.replace(resource, seen=Seen(ours=False)) for resource in desired(0)]
    assert plan([], strangers) == []


def test_a_stuck_endpoint_takes_no_version_but_can_be_deleted():
    stuck = dataclasses.replace(desired(0)[3], seen=Seen(stuck="ask somebody"))
    with pytest.raises(PlanError, match="ask somebody"):
        plan(desired(0), [*desired(0)[:3], stuck])
    assert plan([], [stuck]) == [Change("delete", stuck)]


def test_what_was_made_is_taken_back_in_reverse_and_nothing_else():
    create = [Change("create", resource) for resource in desired(0)[:3]]
    changes = [*create, Change("update", desired(0)[3]), Change("delete", desired(2)[2])]
    assert undone(changes) == [Change("delete", resource) for resource in reversed(desired(0)[:3])]


def rolled(history: list[int]) -> Cloud:
    cloud = Cloud()
    for version in history:
        deploy(cloud, version, keep=3)
    return cloud


def test_a_rollback_goes_to_the_newest_version_older_than_the_one_in_service():
    cloud = rolled([0, 2, 4])
    assert older(cloud.observed()).name == desired(2)[2].name
    deploy(cloud, 2, keep=3)
    assert older(cloud.observed()).name == desired(0)[2].name


def test_a_rollback_to_a_named_version_finds_it_by_its_name_or_its_digits():
    cloud = rolled([0, 2, 4])
    name = desired(0)[2].name
    assert older(cloud.observed(), name).name == name
    assert older(cloud.observed(), name[-12:]).name == name


def test_a_rollback_that_was_stopped_may_be_asked_for_again_by_name():
    cloud = rolled([0, 2])
    name = desired(2)[2].name
    assert older(cloud.observed(), name).name == name


def test_there_is_nothing_to_roll_back_to_before_the_second_version():
    with pytest.raises(
        PlanError, match="no older version to roll back to; kept besides the one in service: none"
    ):
        older(rolled([0]).observed())


def test_a_version_that_is_not_kept_is_named_with_those_that_are():
    with pytest.raises(PlanError, match=f"no version 'abc' is kept; .*: {desired(0)[2].name}"):
        older(rolled([0, 2]).observed(), "abc")


def test_with_no_endpoint_a_rollback_goes_to_the_newest_version():
    cloud = rolled([0, 2, 4])
    del cloud.there["endpoint", "iris"]
    assert older(cloud.observed()).name == desired(2)[2].name


@given(st.sampled_from(["iris", "iris-big", "i", "iris-0123456789ab"]), st.text(max_size=3))
def test_a_name_owns_its_own_versions_and_no_others(name, params):
    others = {"iris", "iris-big", "i", "iris-0123456789ab"} - {name}
    assert is_version_of(name, versioned(name, params))
    assert not any(is_version_of(other, versioned(name, params)) for other in others)


@pytest.mark.parametrize(
    "name", ["iris", "iris-0123456789AB", "iris-0123456789abc", "iris-0123456789ab\n", "xiris-0123456789ab"]
)
def test_a_name_that_is_not_exact_is_no_version(name):
    assert not is_version_of("iris", name)


def test_a_version_changes_with_any_parameter_and_not_with_their_order():
    assert versioned("a", {"x": 1, "y": 2}) == versioned("a", {"y": 2, "x": 1})
    assert versioned("a", {"x": 1, "y": 2}) != versioned("a", {"x": 1, "y": 3})
