"""The `batch` verb: its options, its signals, its exit status."""

from __future__ import annotations

import argparse
import signal
import sys
from pathlib import Path
from types import FrameType

from inference.serving import log
from inference.serving.batch import engines, report, run
from inference.serving.errors import StartError
from inference.serving.settings import cores

_DESCRIPTION = """\
Score files with the handler that the endpoint serves, on this machine, without a cloud.

IN is a file or a folder (folders inside it too) of one kind: .jsonl or .ndjson, .csv, both also with .gz, or
.parquet. Names that begin with . or _ are no input. A record is a line that is not blank, or a row. For every
input file a/b.csv there will be OUT/a/b.csv.out with one line for each of its records, in their order.
"""
_EPILOG = """\
A file's .out is there when it is whole, and not before. A run that was killed goes on where it was when it is
started again: what is finished, by the same model and settings and from the same input, is not repeated.

exit status:
  0    every file has its .out, and rows in = rows out (with --on-error keep some may be errors: see the
       report and OUT/<file>.errors.jsonl)
  1    a file failed, or nothing was started: the reason is on stderr
  2    the command line is wrong
  130, 143, 129
       ended by Ctrl-C, by SIGTERM, or with its terminal; nothing half-done is left

examples:
  python -m inference.serving batch flights.jsonl scored
  python -m inference.serving batch incoming scored --header strip --on-error keep --join input

every night at half past two, from cron (PATH/TO is where the kit lies):
  30 2 * * *  cd PATH/TO && .venv/bin/python -m inference.serving batch incoming scored 2>>batch.log
"""

_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks for the end; nothing in between may take it for an error of its own."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def main(arguments: list[str]) -> int:
    """Run the verb; the status to exit with."""
    given = _parser().parse_args(arguments)
    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup has it ignored
            signal.signal(number, _stop)
    try:
        done = run.run(_options(given))
    except StartError as error:
        log.failure(str(error), error.__cause__)
        return 1
    except Stopped as stopped:
        log.failure(f"{stopped}: ended; start again to go on")
        return 128 + stopped.number
    sys.stdout.write(report.text(done))
    return done.status


def _stop(number: int, _: FrameType | None) -> None:
    for other in _STOP_SIGNALS:  # once is enough: what follows is putting away
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.serving batch",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("source", metavar="IN", type=Path, help="a file, or a folder of files")
    add("output", metavar="OUT", type=Path, help="a folder, made if it is not there; not inside IN")
    add(
        "--model",
        type=Path,
        default=Path("build/model.tar.gz"),
        help="an archive, or a folder with code/handler.py",
    )
    add(
        "--header",
        choices=["none", "strip"],
        default="none",
        help="strip: the first line of every CSV file names the columns, rows are objects to the handler; "
        "none (the default): there is no header, rows are lists",
    )
    add(
        "--on-error",
        choices=["fail", "keep"],
        default="fail",
        help="fail (the default): a record that fails costs its file; keep: it is answered with its error",
    )
    add(
        "--join",
        choices=["none", "input"],
        default="none",
        help="input: answer each record beside the record itself",
    )
    add(
        "--accept",
        metavar="TYPE",
        default="",
        help="application/jsonlines or text/csv (default: as the input is)",
    )
    _add_machinery(parser)
    return parser


def _add_machinery(parser: argparse.ArgumentParser) -> None:
    """The options that say where and how it is scored."""
    add = parser.add_argument
    add(
        "--workers",
        metavar="N",
        type=_count,
        default=cores(),
        help="processes that score (default: %(default)s)",
    )
    add(
        "--engine",
        choices=engines.NAMES,
        default="local",
        help="local (the default): processes here; ray: workers of the Ray cluster at RAY_ADDRESS, or, where "
        "that is not set, of one that is started here",
    )
    add(
        "--env",
        metavar="NAME",
        action="append",
        default=[],
        help="a variable of this environment that the handler's answers depend on: with another value every "
        "file is scored anew, and workers on other machines get it; may be given several times",
    )


def _count(text: str) -> int:
    if not (text.isdecimal() and 1 <= int(text) <= 1024):
        raise argparse.ArgumentTypeError(f"{text}: expected 1 to 1024")
    return int(text)


def _options(given: argparse.Namespace) -> run.Options:
    return run.Options(**vars(given))
