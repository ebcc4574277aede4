"""Which price is told: the cloud's list where it was asked for and answers, else the table that ships."""

from types import SimpleNamespace

from deploy.money import quoting
from deploy.money.machines import Machines, Price
from deploy.target import CloudError

KNOWN = Machines("aws", "us-east-1", "hosting", "ml.m5.large")
UNKNOWN = Machines("aws", "us-east-1", "hosting", "ml.m7i.large")
LISTED = Price(9.0, "2026-11-23", "the cloud's list")


def answering(price):
    def ask(machines):
        if isinstance(price, Exception):
            raise price
        return price

    return SimpleNamespace(price=ask)


def test_the_cloud_is_not_asked_but_with_live():
    found = quoting.quote(answering(AssertionError()), KNOWN, live=False)
    assert (found.price.usd, found.remark) == (0.115, "LIVE=1 asks AWS")
    assert "in the table that ships" in found.price.source


def test_with_live_the_cloud_s_own_list_is_told():
    assert quoting.quote(answering(LISTED), KNOWN, live=True) == quoting.Quote(KNOWN, LISTED)


def test_a_list_that_has_no_one_price_is_said_to_have_none():
    found = quoting.quote(answering(None), KNOWN, live=True)
    assert (found.price.read, found.remark) == ("2026-09-28", "the price list has no one price for it")
    assert quoting.quote(answering(None), UNKNOWN, live=True).price is None


def test_a_list_that_cannot_be_read_stops_nothing_and_the_table_stands_in_with_its_date():
    refused = answering(CloudError("no permission"))
    found = quoting.quote(refused, KNOWN, live=True)
    assert (found.price.usd, found.price.read) == (0.115, "2026-09-28")
    assert found.remark == "the price list could not be read: no permission"
    assert quoting.quote(refused, UNKNOWN, live=True).price is None
