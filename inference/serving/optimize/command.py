"""The `optimize` verb: its options, what is tried, the table, and what is left in OUT."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from inference.serving import log
from inference.serving.batch import model
from inference.serving.errors import StartError
from inference.serving.optimize import choosing, table
from inference.serving.optimize.choosing import Choice
from inference.serving.optimize.kinds import ASKED, EAGER, NAMES, note
from inference.serving.optimize.rows import Row, Setting, row
from inference.serving.startup import samples, variant

_DESCRIPTION = """\
Try what makes the handler's torch model lighter, print a table, and leave the best in OUT.

Measured on one core, as each of several workers has it, in the calls that the server makes: speed at several
batch sizes, size, and the difference of the answers to the samples. Each variant is made and tried in a
process of its own. OUT gets variant.json and its files where a variant is worth it, and else is not there.
Packaged as optimized/ beside the model, the server puts it in the model's place after load and says so.
"""
_EPILOG = """\
exit status: 0 done (also where the model stays as it is), 1 nothing could be tried or made, 2 wrong usage

examples:
  python -m inference.serving optimize build/model.tar.gz --out build/optimized
  python -m inference.serving optimize model/ --out optimized --instances more.jsonl --choose onnxruntime
"""


@dataclass(frozen=True)
class Options:
    """The command line."""

    model: Path
    out: Path
    instances: Path | None
    choose: str
    cosine: float
    limit_s: float
    look_s: float
    made_for: str


def main(arguments: list[str]) -> int:
    """Run the verb; the status to exit with."""
    options = Options(**vars(_parser().parse_args(arguments)))
    signal.signal(signal.SIGTERM, _stop)
    try:
        return _run(options)
    except StartError as error:
        log.failure(str(error), error.__cause__)
        return 1
    except KeyboardInterrupt:
        log.failure("stopped: nothing was changed")
        return 130


def _stop(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


def _run(options: Options) -> int:
    with tempfile.TemporaryDirectory(prefix="slipway-optimize-") as scratch:
        place = Path(scratch)
        with model.at(options.model, place / "model") as found:
            setting = _setting(options, found.folder)
            rows = list(_tried(options, setting, place / "trials"))
        choice = _choice(rows, options)
        _tell(rows, choice)
        _leave(choice, options, place / "trials")
    return 0 if choice.row is not None or options.choose == "" else 1


def _setting(options: Options, folder: Path) -> Setting:
    if (folder / variant.NAME).is_file():
        raise StartError(f"{variant.NAME} is in the model already; expected one without a variant")
    instances = options.instances or folder / samples.FILE
    if not instances.is_file():
        raise StartError(
            f"{instances.name} is not there: answers are compared on samples; write some requests to "
            "inference/samples.jsonl, one instance a line, or name such a file (INPUT=, --instances)"
        )
    return Setting(folder, instances, options.made_for, options.look_s, options.limit_s)


def _tried(options: Options, setting: Setting, trials: Path) -> Iterator[Row]:
    """The model itself, then each kind. StartError where there is no model to be made lighter."""
    kinds = [options.choose] if options.choose else list(NAMES)
    for number, kind in enumerate([EAGER, *kinds], 1):
        print(f"{number}/{len(kinds) + 1}  {kind}", flush=True)
        found = row(kind, setting, trials / kind, note(kind))
        if kind == EAGER and found.failure:
            raise StartError(f"nothing to optimize: {found.failure}")
        yield found


def _choice(rows: list[Row], options: Options) -> Choice:
    if options.choose:
        return choosing.named(rows[-1], options.cosine)
    return choosing.choose(rows[1:], options.cosine, ASKED)


def _tell(rows: list[Row], choice: Choice) -> None:
    eager = rows[0]
    print(f"\n{table.table(rows)}\n")
    if eager.others:
        others = ", ".join(f"self.{name}" for name in eager.others)
        print(f"the samples call {others}, too: the largest, self.{eager.attribute}, is what was replaced")
    print(choice.why)
    if choice.row is None and eager.rates is not None:
        print(f"its best batch size is {eager.batch_size} ([serving] max_batch_size)")
    sys.stdout.flush()


def _leave(choice: Choice, options: Options, trials: Path) -> None:
    """Put the chosen variant into OUT, whole; what was there before is gone."""
    part = options.out.with_name(f".{options.out.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    if choice.row is None:
        shutil.rmtree(options.out, ignore_errors=True)
        return
    folder = trials / choice.row.kind
    written = variant.from_file(folder / variant.FILE)
    final = replace(written, told=choosing.told(choice.row), batch_size=choice.row.batch_size)
    part.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(folder, part)
    variant.write(final, part)
    shutil.rmtree(options.out, ignore_errors=True)
    part.replace(options.out)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m inference.serving optimize",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", metavar="MODEL", type=Path, help="an archive, or a folder with code/handler.py")
    add("--out", metavar="OUT", type=Path, required=True, help="a folder, replaced as a whole")
    add("--instances", metavar="FILE", type=Path, help="JSON Lines to measure with (the model's samples)")
    add("--choose", metavar="NAME", choices=list(NAMES), default="", help=f"one of {', '.join(NAMES)}")
    add("--cosine", type=_share, default=0.999, help="that answers must have to be chosen by itself (0.999)")
    add("--limit-s", type=float, default=600, help="seconds that one variant may take (600)")
    add("--look-s", type=float, default=0.3, help="seconds of each look at the speed (0.3)")
    add("--made-for", metavar="DIGEST", default="", help="of model and code, to be kept in variant.json")
    return parser


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text}: expected a number from 0 to 1, such as 0.999")
    return value
