"""What verbs say of money: before something is made, while it runs, and at its end."""

from argparse import Namespace
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

from deploy import terminal
from deploy.money import alternatives, lifetime, quoting, table, telling
from deploy.money.machines import Machines
from deploy.money.quoting import Quote
from deploy.plan import Resource
from deploy.verbs.run import Run, VerbError


def ending(run: Run, options: Namespace) -> Run:
    """The same command of a deployment that ends when its TTL is over. Raises ConfigError; asks no cloud."""
    if options.ttl is None:
        return run
    return replace(run, config=lifetime.ending(run.config, run.cloud, options.ttl, datetime.now(UTC)))


def keeping_its_end(run: Run, observed: Sequence[Resource]) -> tuple[Run, list[Resource]]:
    """A change of version that leaves the end where it is: `run` and what is `observed`, for a plan.

    A schedule is made anew for the version that it is to end, though its moment is the same; one whose time
    is over goes.
    """
    moment = run.billing.ends(run.config)
    moment = moment if moment and moment > datetime.now(UTC) else None
    stale = [replace(one, version="") if one.kind == "schedule" else one for one in observed]
    return replace(run, config=run.config.ending(moment)), stale


def show_endpoint(run: Run, in_full: bool = True) -> None:
    """Say what the endpoint that deploy.toml asks for costs and when it ends.

    In full, also what would cost less, and where the prices are from.
    """
    machines = run.billing.serving(run.config)
    if machines is None:
        _fact("costs", f"nothing while nobody asks: serverless{_by_the_request(run)}")
    else:
        _show_machines(run, machines, in_full)
    if run.config.expires:
        _fact("ends", f"{telling.moment(run.config.expires)}, by itself (TTL)")


def _show_machines(run: Run, machines: Machines, in_full: bool) -> None:
    quote = _quoted(run, machines)
    _fact("costs", f"{telling.by_the_hour(quote)}, until {_until(run)}")
    if not in_full:
        return
    smaller = run.billing.smaller(machines)
    # A list that could not be read a moment ago is not waited for again.
    less = quoting.quote(run.billing, smaller, run.live and not quote.remark) if smaller else None
    for way in alternatives.cheaper(quote, less, table.serverless(run.cloud, machines.region)):
        _fact("cheaper", way)
    if quote.price:
        _fact("prices", telling.source(quote))


def _until(run: Run) -> str:
    return "its TTL is over" if run.config.expires else "`destroy`; TTL=4h on a deploy ends it by itself"


def _by_the_request(run: Run) -> str:
    price = table.serverless(run.cloud, run.config.aws.region)
    return f", {telling.dollars(price.usd)} for a GB-second ({telling.said_by(price)})" if price else ""


def training(run: Run) -> str:
    """What a training job costs at most, in a sentence."""
    machines = run.billing.training(run.config)
    return telling.of_a_job(_quoted(run, machines), run.config.training.max_run_s)


def scoring(run: Run, machines: Machines) -> str:
    """What a batch job costs, in a sentence: how long it takes, its files alone know."""
    return telling.of_a_job(_quoted(run, machines))


def show_so_far(run: Run) -> None:
    """Say how old the endpoint is, what it has cost by the hour until now, and when it ends."""
    running = run.billing.running(run.config)
    if running is None:
        return
    now = datetime.now(UTC)
    age = now - running.since
    _fact("age", f"{telling.span(age)}, since {telling.moment(running.since)}")
    for machines in running.machines:
        _fact("cost", telling.so_far(_quoted(run, machines), age))
    if not running.machines and run.billing.serving(run.config) is None:
        _fact("cost", f"by the request{_by_the_request(run)}")
    ends = run.billing.ends(run.config)
    left = f"in {telling.span(ends - now)}" if ends and ends > now else "its time is over"
    _fact("ends", f"{telling.moment(ends)} ({left})" if ends else "not by itself; `destroy` ends it")


def prove_free(run: Run) -> None:
    """Say that nothing of this deployment is billed any more. Raises VerbError with what is."""
    with terminal.working("look for what is still billed"):
        left = run.billing.left(run.config)
    if left:
        raise VerbError(f"still billed under the name {run.config.name}: {'; '.join(left)}")
    terminal.line(f"nothing that carries the name {run.config.name} is billed")


def _quoted(run: Run, machines: Machines) -> Quote:
    return quoting.quote(run.billing, machines, run.live)


def _fact(name: str, text: str) -> None:
    terminal.line(f"{name:10} {text}")
