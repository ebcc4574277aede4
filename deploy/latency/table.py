"""What was measured, as lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from deploy.latency import budget as budgets
from deploy.latency.parts import FIRST, NETWORK, PARTS, STREAM, WHOLE
from deploy.latency.shares import AT, Row, percentile
from deploy.target import Answer

Line = tuple[str, str]  # its text and its style
UNTOLD = (
    "the endpoint told no phases: its container is another than this runtime, or what stands before it hands "
    "no header on (whether Vertex AI does, its documents leave open, and it was not tried)"
)
_LABELS = {FIRST: "first piece", NETWORK: "network and platform", STREAM: "made and sent"}
_WHOLES = (WHOLE, FIRST)
_WIDTH = 26


def lines(answers: Sequence[Answer], rows: Sequence[Row], budget: Mapping[str, float]) -> Iterator[Line]:
    """The table, and after it what the answers say of batches, the cache and retries."""
    yield "", ""
    yield _titles(bool(budget)), "dim"
    for row in rows:
        held = f"{budget[row.name]:>10g}" if row.name in budget else ""
        yield _text(row) + held, _style(row, budget)
    yield "", ""
    for text in remarks(answers):
        yield text, "dim"


def remarks(answers: Sequence[Answer]) -> Iterator[str]:
    """What goes with the figures."""
    told = [answer.told for answer in answers if answer.told]
    called = [one.batch for one in told if not one.hit]
    if called:
        yield (
            f"requests in one call of the handler: p50 {percentile(called, 50)}, "
            f"p95 {percentile(called, 95)}, largest {max(called)}"
        )
    if told:
        yield f"answers from the cache: {len(told) - len(called):,} of {len(told):,}"
    if told and any(answer.first_ms is not None for answer in answers):
        yield "the answers came in pieces: the container's phases are those until the first"
    if not told:
        yield UNTOLD
    elif len(told) < len(answers):
        yield f"phases and shares are of the {len(told):,} answers that told them"
    if retried := sum(answer.retries > 0 for answer in answers):
        yield f"the SDK asked again for {retried:,} of the answers: that time is in the network's"
    if len(answers) < 100:
        yield "of fewer than 100 answers, p99 is the slowest (--times or TIMES= asks for more)"


def _titles(budgeted: bool) -> str:
    times = "".join(f"{f'p{at}':>10}" for at in AT)
    shares = "".join(f"{f'p{at}':>7}" for at in AT)
    return (
        f"{'':{_WIDTH}}{'milliseconds':>30}  {'share of the whole':>21}\n"
        f"{'':{_WIDTH}}{times}  {shares}{'    budget' if budgeted else ''}"
    )


def _text(row: Row) -> str:
    inside = row.name not in _WHOLES and row.name not in PARTS
    label = ("  " if inside else "") + _LABELS.get(row.name, row.name)
    shares = "".join(f"{f'{share:.0%}':>7}" for share in row.shares) or " " * 21
    return f"{label:{_WIDTH}}{''.join(f'{ms:>10.2f}' for ms in row.ms)}  {shares}"


def _style(row: Row, budget: Mapping[str, float]) -> str:
    if budgets.exceeds(row, budget):
        return "bold red"
    return "bold" if row.name in _WHOLES or row.name in PARTS else ""
