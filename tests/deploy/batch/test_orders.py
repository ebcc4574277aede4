import re
from dataclasses import replace

import pytest

from deploy.batch import orders
from deploy.batch.kinds import CSV, JSONLINES, PARQUET, Kind
from deploy.batch.orders import File
from deploy.batch.places import BatchError
from deploy.sections import Batch

FILES = [File("a.csv", 10, "d1", 3), File("b.csv", 20, "d2", 4)]
KNOWN = orders.run_id("iris-1", FILES, Batch(), "")


@pytest.mark.parametrize(
    "other",
    [
        ("iris-2", FILES, Batch(), ""),
        ("iris-1", FILES[:1], Batch(), ""),
        ("iris-1", [FILES[0], replace(FILES[1], digest="d3")], Batch(), ""),
        ("iris-1", [FILES[0], replace(FILES[1], name="c.csv")], Batch(), ""),
        ("iris-1", FILES, Batch(on_error="keep"), ""),
        ("iris-1", FILES, Batch(header="strip"), ""),
        ("iris-1", FILES, Batch(accept="application/jsonlines"), ""),
        ("iris-1", FILES, Batch(), "s3://bucket/out/"),
    ],
)
def test_whatever_shapes_a_result_makes_another_run(other):
    assert re.fullmatch("[0-9a-f]{12}", KNOWN)
    assert orders.run_id(*other) != KNOWN


def test_machines_and_patience_make_no_other_run():
    same = Batch(instance_type="ml.c7i.xlarge", instance_count=3, timeout_s=9, retries=0, max_payload_mb=9)
    assert orders.run_id("iris-1", FILES, same, "") == KNOWN


@pytest.mark.parametrize("deployment", ["iris", "x" * 50, "a-" * 24 + "ab"])
def test_a_job_s_name_fits_and_tells_its_run_and_number(deployment):
    for number in (1, 12, 9999):
        name = orders.job_name(deployment, KNOWN, number)
        assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name)
        assert orders.job_number(deployment, KNOWN, name) == number
        assert orders.is_job(deployment, name)


@pytest.mark.parametrize(
    "name", [f"iris-big-{KNOWN}-1", f"iris-{KNOWN}", f"iris-{KNOWN}-01", f"iris-{KNOWN}-1-1"]
)
def test_a_job_of_another_name_is_none_of_the_run_s(name):
    assert orders.job_number("iris", KNOWN, name) == 0
    assert not orders.is_job("iris", name)


def test_the_command_line_goes_before_the_file_and_both_are_checked_together():
    given = {"on_error": "keep", "header": None, "join": None, "accept": None, "verb": "batch-transform"}
    assert orders.settings(Batch(header="strip"), given) == Batch(header="strip", on_error="keep")
    with pytest.raises(BatchError, match='on_error = "keep" goes without output_filter'):
        orders.settings(Batch(output_filter="$.x"), given)


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        (Batch(header="strip"), Kind(JSONLINES)),
        (Batch(join="input"), Kind(PARQUET)),
        (Batch(join="input", accept="text/csv"), Kind(JSONLINES)),
    ],
)
def test_settings_that_no_platform_takes_are_refused_first(settings, kind):
    with pytest.raises(BatchError, match=r"^\[batch\] "):
        orders.check_settings(settings, kind)


def test_settings_that_all_take_pass():
    orders.check_settings(Batch(join="input", accept="text/csv"), Kind(CSV))
    orders.check_settings(Batch(accept="text/csv"), Kind(JSONLINES))
    orders.check_settings(Batch(), Kind(PARQUET))


def test_a_request_may_take_an_hour_where_records_are_asked_for_one_by_one_unless_it_is_said():
    assert orders.patient(Batch(header="strip")) == Batch(header="strip", timeout_s=3600)
    assert orders.patient(Batch(timeout_s=5)) == Batch(timeout_s=5)
