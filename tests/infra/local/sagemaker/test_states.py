"""The states of an endpoint, as data."""

import itertools

import pytest

from infra.local.cloud import Caller
from infra.local.sagemaker.constraints import service
from infra.local.sagemaker.states import CHANGES, Endpoint, Endpoints, Key

CALLER = Caller("123456789012", "us-east-1")


def endpoint(name="it"):
    return Endpoint(CALLER, name, "arn", "config", 1.0, 1.0)


def test_every_state_is_one_that_describe_endpoint_has():
    assert CHANGES.keys() - {""} <= set(service().shape_for("EndpointStatus").enum)
    assert {after for ways in CHANGES.values() for after in ways} == CHANGES.keys()


def test_only_a_failed_endpoint_s_delete_leads_out_of_failed():
    assert CHANGES["Failed"] == CHANGES["UpdateRollbackFailed"] == {"Deleting"}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(CHANGES, CHANGES)))
def test_no_endpoint_takes_a_way_that_is_not_in_the_table(before, after):
    table = Endpoints()
    one = Endpoint(CALLER, "it", "arn", "config", 1.0, 1.0, status=before)
    table.add(one)
    if after in CHANGES[before]:
        moved = table.move(one, after)
        assert moved is not None
        assert table.find(Key.of(CALLER, "it")) is (moved if after else None)
    else:
        with pytest.raises(RuntimeError, match="no way from"):
            table.move(one, after)


def test_a_name_is_taken_once():
    table = Endpoints()
    assert table.add(endpoint())
    assert not table.add(endpoint())


def test_of_two_changes_from_one_moment_the_second_does_nothing():
    table = Endpoints()
    one = endpoint()
    table.add(one)
    moved = table.move(one, "InService")
    assert table.move(one, "Failed") is None
    assert table.find(Key.of(CALLER, "it")) is moved


def test_another_region_s_endpoint_is_another_one():
    table = Endpoints()
    table.add(endpoint())
    other = Caller(CALLER.account, "eu-west-1")
    assert table.find(Key.of(other, "it")) is None
    assert table.all_of(other) == []
    assert [one.name for one in table.all_of(CALLER)] == ["it"]
