"""Costs in words: pure. Every figure says what it counts and of when its price is."""

from __future__ import annotations

from datetime import datetime, timedelta

from deploy.money.machines import HOURS_A_MONTH, Price
from deploy.money.quoting import Quote


def dollars(usd: float) -> str:
    """An amount: cents from a dollar on, three digits that count below it."""
    if usd >= 1 or usd == 0:
        return f"${usd:,.2f}"
    digits = f"{usd:.3g}"
    return f"${float(digits):.10f}".rstrip("0")


def by_the_hour(quote: Quote) -> str:
    """What machines cost that run until somebody ends them."""
    if quote.price is None:
        return f"price unknown: {quote.machines} ({quote.remark})"
    machines, usd = quote.machines, quote.price.usd
    least = usd * machines.count
    told = f"{dollars(least)} an hour, {dollars(least * HOURS_A_MONTH)} a month ({HOURS_A_MONTH} hours)"
    if machines.most > machines.count:
        most = usd * machines.most
        told += f", at most {dollars(most)} an hour and {dollars(most * HOURS_A_MONTH)} a month"
    return f"{told}: {machines}, busy or idle"


def of_a_job(quote: Quote, most_s: int = 0) -> str:
    """What a job costs; `most_s` is the time that it may take in seconds, 0 where it has no bound."""
    if quote.price is None:
        return f"price unknown: {quote.machines} ({quote.remark})"
    usd = quote.price.usd * quote.machines.count
    told = f"{dollars(usd)} an hour on {quote.machines}"
    if most_s:
        longest = span(timedelta(seconds=most_s))
        told += f", {dollars(usd * most_s / 3600)} at most in the {longest} that it may take"
    return told


def source(quote: Quote) -> str:
    """Where a price is from, and what it leaves out."""
    if quote.price is None:
        return ""
    return f"{said_by(quote.price)}{f' ({quote.remark})' if quote.remark else ''}; {LEFT_OUT}"


LEFT_OUT = "on demand, without discounts, taxes, disks and traffic"


def said_by(price: Price) -> str:
    return f"{price.source}, read {price.read}"


def so_far(quote: Quote, age: timedelta) -> str:
    """What machines that have run for that long cost until now."""
    if quote.price is None:
        return f"price unknown: {quote.machines} ({quote.remark})"
    usd = quote.price.usd * quote.machines.count
    spent = dollars(usd * age.total_seconds() / 3600)
    return (
        f"about {spent} so far, {dollars(usd)} an hour: an estimate by today's {quote.machines} "
        f"({said_by(quote.price)}), not the bill"
    )


def span(time: timedelta) -> str:
    """A time in its two largest units: 3 d 4 h, 2 h 5 min, 40 s."""
    left, parts = max(0, int(time.total_seconds())), []
    for unit, seconds in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def moment(when: datetime) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S} UTC"
