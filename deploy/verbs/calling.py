"""An endpoint asked: for answers, and for where their time went."""

from argparse import Namespace

from deploy import asking
from deploy.latency import measuring
from deploy.target import Request
from deploy.verbs.run import Run, VerbError


def invoke(run: Run, options: Namespace) -> None:
    """Post a file, or each of the samples, and print the answers."""
    for request in _requests(run, options):
        asking.show(run.place, request)


def latency(run: Run, options: Namespace) -> None:
    """Replay the samples, or a file, and show where the time of the answers went."""
    order = measuring.Order(_requests(run, options), options.times, options.concurrency, options.plot)
    measuring.measure(run.target.caller(run.config), order, run.config.latency.budget)


def _requests(run: Run, options: Namespace) -> list[Request]:
    if options.body:
        return [asking.file(run.project, options.body, options.content_type, options.accept)]
    samples = asking.samples(run.project)
    if not samples:
        raise VerbError("inference/samples.jsonl is not there: BODY=file (or --body) says what to post")
    return samples
