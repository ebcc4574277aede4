"""python -m bench.serving: our server, the limits and every peer that is installed, over the same requests.

Writes results.json, table.md and plot.png to a folder, and prints the table.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from bench.serving import (
    contestants,
    lighter,
    limits,
    load,
    measuring,
    plot,
    processes,
    results,
    table,
    workloads,
)
from bench.serving.contestants import ROOT, Server
from bench.serving.peers import environments
from bench.serving.results import Results
from bench.serving.running import Place
from bench.serving.workloads import Prepared, Workload


@dataclass(frozen=True)
class Race:
    """What was asked for on the command line."""

    servers: list[Server]
    workloads: list[Workload]
    plan: measuring.Plan
    place: Place
    out: Path
    optimize: str | None = None


def main() -> int:
    race = _race(_parser())
    load.check_installed()
    processes.adopt_orphans()
    found = Results(race.place.workers, race.plan.seconds, (), (), ())
    for found in _run(race):
        results.write(found, race.out / "results.json")
    printed = table.table(found)
    (race.out / "table.md").write_text(printed)
    _draw(found, race.out / "plot.png")
    print(f"\n{printed}\n{race.out}: results.json, table.md, plot.png")
    return 0


def _run(race: Race) -> Iterator[Results]:
    """What is known so far, after every server."""
    found = Results(race.place.workers, race.plan.seconds, (), (), ())
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as folder:
        weights = partial(environments.weights, race.place.environments)
        for workload in race.workloads:
            prepared = workloads.prepare(workload, weights, Path(folder))
            asked = limits.asked(prepared, race.place)
            loading = limits.loading(prepared, race.place, race.plan)
            counts = sorted({1, race.place.workers})
            bare = [limits.bare(prepared, race.place, race.plan, count) for count in counts]
            found = replace(found, bare=(*found.bare, *bare), loading=(*found.loading, loading))
            for server in _servers(race, prepared):
                run = measuring.measured(measuring.Trial(server, asked, race.plan, race.place))
                found = replace(found, runs=(*found.runs, run))
                print(_line(run), file=sys.stderr, flush=True)
                yield found


def _servers(race: Race, prepared: Prepared) -> Iterator[Server]:
    """Those that answer the workload; ours with a lighter model last, where that is asked for."""
    yield from (one for one in race.servers if prepared.workload.name in one.workloads)
    wanted = race.optimize if prepared.workload.name == lighter.WORKLOAD else None
    if wanted is not None and (row := lighter.row(prepared, race.place, wanted)):
        yield row


def _line(run: results.Run) -> str:
    rates = ", ".join(f"{window.connections}: {window.rate:,.0f}/s" for window in run.windows)
    return f"{run.workload:8} {run.server:20} {run.failure or rates}"


def _draw(found: Results, path: Path) -> None:
    try:
        plot.draw(found, path)
    except ModuleNotFoundError as error:
        print(f"no plot: {error} (pip install matplotlib)", file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.serving", description=__doc__)
    add = parser.add_argument
    add("--only", type=_words, metavar="NAMES", help="these servers, such as slipway,litserve")
    add("--workloads", type=_words, default=list(workloads.WORKLOADS), help="tiny,encoder,image,zipf")
    add("--connections", type=_words, default=["1", "8", "32", "128"], help="1,8,32,128")
    add("--seconds", type=int, default=8, help="of each window (8)")
    add("--rounds", type=int, default=1, help="windows of each kind, the quietest counts (1)")
    add("--starts", type=int, default=3, help="cold starts, the quickest counts (3)")
    add(
        "--patience",
        type=float,
        default=0,
        help="seconds that each window waits for a quiet machine (0)",
    )
    add("--kit", type=Path, default=ROOT, help="a checkout whose runtime is run (this one)")
    add(
        "--variant",
        action="append",
        default=[],
        metavar="'NAME KEY=VALUE …'",
        help="one more row of ours: kit=FOLDER (another checkout), model=FOLDER with workload=encoder "
        "(with a lighter model, say), SLIPWAY_…=value (a setting)",
    )
    add(
        "--optimize",
        nargs="?",
        const="",
        metavar="NAME",
        help="one more row of ours: the encoder with the variant that `optimize` chooses, or with this one",
    )
    add(
        "--environments",
        type=Path,
        default=environments.STANDARD,
        help="folder of the servers' (.venv-bench)",
    )
    add("--out", type=Path, default=ROOT / "bench" / "results" / "serving", help="folder for what it finds")
    return parser


def _race(parser: argparse.ArgumentParser) -> Race:
    options = parser.parse_args()
    try:
        servers = _chosen(options.only, contestants.standard(options.kit))
        servers += [contestants.variant(text, options.kit) for text in options.variant]
        connections = tuple(int(count) for count in options.connections)
        chosen = [_workload(name) for name in options.workloads]
    except ValueError as error:
        parser.error(str(error))
    if not environments.is_made(options.environments, environments.OURS):
        parser.error(
            f"{options.environments / environments.OURS} is not there: "
            f"python -m bench.serving.peers make {environments.OURS}"
        )
    (options.out / "logs").mkdir(parents=True, exist_ok=True)
    place = Place(options.environments, options.out / "logs", processes.cores())
    plan = measuring.Plan(connections, options.seconds, options.rounds, options.starts, options.patience)
    return Race(servers, chosen, plan, place, options.out, options.optimize)


def _words(text: str) -> list[str]:
    return text.split(",")


def _chosen(only: list[str] | None, servers: list[Server]) -> list[Server]:
    names = [server.name for server in servers]
    for name in only or ():
        if name not in names:
            raise ValueError(f"--only: {name}: expected some of {','.join(names)}")
    return [server for server in servers if only is None or server.name in only]


def _workload(name: str) -> Workload:
    if name not in workloads.WORKLOADS:
        raise ValueError(f"--workloads: {name}: expected some of {','.join(workloads.WORKLOADS)}")
    return workloads.WORKLOADS[name]


if __name__ == "__main__":
    sys.exit(main())
