"""What a person sees: colour and a spinner on a terminal, plain lines in a pipe. NO_COLOR is honoured."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from deploy.plan import Change

COLOURS = {"create": "green", "update": "yellow", "delete": "red"}
PIPE_FIRST_S, PIPE_EVERY_S = 1.0, 10.0  # when a pipe is told the state of what goes on


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise  # rich would end the process itself; whether that is an error, the caller knows


_out = _Console(highlight=False)
_err = _Console(highlight=False, stderr=True)


class NoTerminal(Exception):
    """A question had to be asked and nobody can answer it; the message says how to answer beforehand."""


def line(text: str = "", style: str = "") -> None:
    """One line as it is: not wrapped, no markup in it."""
    _out.print(Text(text, style=style), soft_wrap=True)


def aside(text: str) -> None:
    """A remark that is no part of the result: it goes where errors go."""
    _err.print(Text(text, style="dim"), soft_wrap=True)


def sentence(change: Change) -> str:
    resource = change.resource
    to = f" -> {resource.version}" if resource.version and change.action != "delete" else ""
    return f"{change.action} {resource.kind} {resource.name}{to}"


def show_plan(changes: Sequence[Change]) -> None:
    if not changes:
        line("nothing to change")
    for change in changes:
        action, _, rest = sentence(change).partition(" ")
        kind, _, name = rest.partition(" ")
        _out.print(Text(f"  {action}  ", COLOURS[action]) + Text(f"{kind:16}{name}"), soft_wrap=True)


@contextmanager
def working(what: str) -> Iterator[Callable[[str], None]]:
    """Show what is being done and for how long; yields what takes its state, as often as one likes."""
    start = time.monotonic()
    with _spinner(what) if _out.is_terminal else _lines(what) as say:
        yield say
    line(f"  {what}  {time.monotonic() - start:.1f} s")


@contextmanager
def _spinner(what: str) -> Iterator[Callable[[str], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    with Progress(*columns, console=_out, transient=True) as progress:
        task = progress.add_task(what)
        yield lambda state: progress.update(task, description=f"{what}  {state}")


@contextmanager
def counting(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    """As `working`, of `total` things: yields what takes how many of them are done, and the state."""
    start = time.monotonic()
    if _out.is_terminal:
        with _bar(what, total) as show:
            yield show
    else:
        with _lines(what) as say:
            yield lambda _, state: say(state)
    line(f"  {what}  {time.monotonic() - start:.1f} s")


@contextmanager
def _bar(what: str, total: int) -> Iterator[Callable[[int, str], None]]:
    # The state alone: with rate and time left it fills the 80 columns that a terminal may have.
    columns = (SpinnerColumn(), BarColumn(10), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=_out, transient=True) as progress:
        task = progress.add_task(what, total=total)
        yield lambda done, state: progress.update(task, completed=done, description=state)


@contextmanager
def _lines(what: str) -> Iterator[Callable[[str], None]]:
    due = time.monotonic() + PIPE_FIRST_S

    def say(state: str) -> None:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + PIPE_EVERY_S
            line(f"  {what}  {state}")

    yield say


def agrees(question: str) -> bool:
    """The person's yes or no. Raises NoTerminal where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise NoTerminal(f"{question} There is no terminal to ask on: YES=1 (or --yes) answers yes")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def error(text: str) -> None:
    _err.print(Text("error: ", style="bold red") + Text(text), soft_wrap=True)


def shown(text: str, width: int = 100) -> str:
    """The text on one line, cut to a width."""
    text = " ".join(text.split())
    return text if len(text) <= width else text[: width - 1] + "…"
