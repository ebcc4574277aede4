"""A run from what is there to what is wanted: a job under way is followed, another does what is left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deploy import terminal
from deploy.batch import collecting, following, orders, outputs, report, staging
from deploy.batch.cloud import Cloud, Job, Stored
from deploy.batch.collecting import Work
from deploy.batch.following import Printed, Watch
from deploy.batch.inputs import Inputs
from deploy.batch.orders import File, Order
from deploy.batch.places import BatchError, Place, Remote, parse, prefix, refuse_nested
from deploy.batch.report import DONE, FAILED, RUNNING, Report, Result
from deploy.batch.threads import in_threads

MIN_COLLECTED = 64  # between two writings of the report, which is as long as the run has files


@dataclass(frozen=True)
class Outcome:
    """A run's report, why files have no result, and the job that was to make them."""

    report: Report
    wrong: Mapping[str, str]
    job: Job | None
    printed: Printed


def places(cloud: Cloud, source: str, output: str) -> tuple[Place, Place]:
    """What INPUT and OUTPUT name. Raises BatchError where they are no places, or lie one in the other."""
    found = parse(source, cloud.storage.SCHEME), parse(output, cloud.storage.SCHEME)
    refuse_nested(*found)
    return found


def check_output(cloud: Cloud, output: Place) -> None:
    """Raise BatchError or CloudError unless results can be put there."""
    if isinstance(output, Path):
        outputs.check_writable(output)
    else:
        cloud.storage.reachable(cloud.config, output.bucket, f"OUTPUT {output}: the bucket")


def plan(cloud: Cloud, model: str, found: Inputs, output: Place) -> Work:
    """The run that scores these files with this model. Reads nothing."""
    remote = str(prefix(output)) if isinstance(output, Remote) else ""
    run = orders.run_id(model, found.files, found.settings, remote)
    own = cloud.transforms.run_place(cloud.config, run)
    order = Order(
        run,
        model,
        found.settings,
        found.kind,
        found.header,
        found.files,
        source=own / "in/" if isinstance(found.source, Path) else found.source,
        output=prefix(output) if isinstance(output, Remote) else own / "out/",
    )
    return Work(cloud, order, found, prefix(output) if isinstance(output, Remote) else output)


def score(work: Work, begin: Callable[[], None]) -> Outcome:
    """Bring the run to its end. `begin` is called before a job is started, to ask and to make what it needs.

    Files that have their results are not scored again. Raises BatchError where OUTPUT holds results that no
    run of ours has made, or another run is writing there.
    """
    with outputs.held(work.output, work.names):
        known = _known(work)
        before = _report(work, known)
        jobs = work.cloud.transforms.jobs(work.cloud.config, work.order.run)
        _refuse_unknown(work, _there(work, jobs, known), known)
        if jobs and jobs[-1].moving:
            stopping = jobs[-1].state == "Stopping"
            jobs = [*jobs[:-1], _follow(work, _waiting(work, before), jobs, lambda: jobs[-1])]
            if jobs[-1].state != "Completed" and not stopping:
                return _collected(work, jobs, before)
        elif jobs and not _replaced(work, known):
            # For a command that was stopped before it had done so.
            _gather(
                work, jobs, [f for f in _waiting(work, before) if f.name not in _there(work, jobs, known)]
            )
        there = _there(work, jobs, known)
        left = [file for file in _waiting(work, before) if file.name not in there]
        if left:
            begin()
            jobs = [*jobs, _scored(work, jobs, before, left)]
        elif not there:
            terminal.line(f"all is scored ({report.files(len(work.names))}): no job is started")
        return _collected(work, jobs, before)


def _waiting(work: Work, before: Report) -> list[File]:
    """The files whose results are not known to be in OUTPUT."""
    return [file for file in work.inputs.files if not before.files[file.name]]


def _known(work: Work) -> Report | None:
    """The report in OUTPUT. Raises BatchError where it is of another run whose job is still writing there."""
    known = report.from_json(
        outputs.text(work.cloud, work.output, report.NAME), str(work.output / report.NAME)
    )
    if known and known.run != work.order.run and known.state == RUNNING and isinstance(work.output, Remote):
        for job in work.cloud.transforms.jobs(work.cloud.config, known.run):
            if job.moving:
                raise BatchError(
                    f"{work.output}: transform job {job.name} of another run writes there: wait for it, or "
                    "name another OUTPUT"
                )
    return known


def _there(work: Work, jobs: Sequence[Job], known: Report | None) -> dict[str, Stored]:
    """This run's results where its jobs leave them, but none that something later has put in their place."""
    if not jobs or _replaced(work, known):
        return {}
    found = collecting.finished(work, jobs[0].created.timestamp())
    if isinstance(work.output, Path) or known is None:
        return found
    was = {name: result.digest for name, result in known.files.items() if result}
    return {name: one for name, one in found.items() if was.get(name, one.digest) == one.digest}


def _replaced(work: Work, known: Report | None) -> bool:
    """Whether another run has put its results in the place of this one's."""
    return isinstance(work.output, Remote) and known is not None and known.run != work.order.run


def _others(work: Work, there: Mapping[str, Stored]) -> dict[str, Stored | None]:
    """What lies in OUTPUT under our results' names and is not this run's."""
    if isinstance(work.output, Path):
        return dict.fromkeys(outputs.there(work.output, work.names))
    # By their very names alone: what lies in other folders of OUTPUT may be another run's.
    place = work.order.output
    names = {f"{place.key}{name}.out": name for name in work.names if name not in there}
    return {names[one.key]: one for one in _listed(work) if one.key in names}


def _listed(work: Work) -> list[Stored]:
    return work.cloud.storage.listed(work.cloud.config, work.order.output)


def _refuse_unknown(work: Work, there: Mapping[str, Stored], known: Report | None) -> None:
    """Results that no report knows are somebody's: they are not overwritten."""
    ours = {*known.files, *known.earlier} if known else set()
    strange = sorted(set(_others(work, there)) - ours)
    if strange:
        place = work.output / f"{strange[0]}.out"
        raise BatchError(
            f"{place}: there already, and no report of batch-transform knows it: "
            "move it away, or name another OUTPUT"
        )


def _report(work: Work, known: Report | None) -> Report:
    """What is known of this run already: results that lie in OUTPUT as the last report has them."""
    files: dict[str, Result | None] = dict.fromkeys(work.names)
    fresh = Report(work.order.run, RUNNING, work.order.model, files=files)
    if not known:
        return fresh
    earlier = tuple(sorted({*known.files, *known.earlier} - set(files)))
    if known.run != work.order.run:
        return replace(fresh, earlier=earlier)
    return replace(fresh, job=known.job, files=files | dict(_unchanged(work, known)), earlier=earlier)


def _unchanged(work: Work, known: Report) -> Iterator[tuple[str, Result]]:
    if isinstance(work.output, Path):
        there, output = outputs.there(work.output, known.files), work.output
        read = in_threads(lambda name: outputs.digest(output / f"{name}.out"), there)
        digests = dict(zip(there, read, strict=True))
    else:
        digests = {name: one.digest for name, one in collecting.finished(work, 0).items()}
    for name, result in known.files.items():
        if result and digests.get(name) == result.digest:
            yield name, result


def _scored(work: Work, jobs: Sequence[Job], before: Report, left: Sequence[File]) -> Job:
    """A new job on the files that are left, followed to its end."""
    cloud, names = work.cloud, [file.name for file in left]
    number = 1 + max([0, *(orders.job_number(cloud.config.name, work.order.run, job.name) for job in jobs)])
    order = replace(work.order, number=number, names=tuple(names))
    _write_report(work, before)
    cloud.transforms.stage(cloud.config, order, work.inputs.source)
    _forget_older(work, names)
    return _follow(work, left, (), lambda: cloud.transforms.start(cloud.config, order))


def _forget_older(work: Work, names: Sequence[str]) -> None:
    """Remove these files' older results: they are ours, and none is to be taken for one of this run."""
    older = [(name, one) for name, one in _others(work, {}).items() if name in set(names)]
    work.cloud.storage.remove(work.cloud.config, [_object(work.order.output, one) for _, one in older if one])
    for name, one in older:
        outputs.write(work.cloud, work.output, f"{name}.errors.jsonl", b"")
        if not one:
            outputs.write(work.cloud, work.output, f"{name}.out", b"")


def _object(place: Remote, one: Stored) -> Remote:
    return replace(place, key=one.key)


def _follow(work: Work, files: Sequence[File], jobs: Sequence[Job], start: Callable[[], Job]) -> Job:
    """See a job to its end; of `files`, those are done that it or the `jobs` before it have scored."""

    def done(job: Job) -> Mapping[str, Stored]:
        return collecting.finished(work, min(one.created for one in (job, *jobs)).timestamp())

    rows = {file.name: file.rows for file in files}
    job = following.follow(work.cloud, work.order.run, start, Watch(rows, done))
    _gather(work, [*jobs, job], [file for file in files if file.name not in done(job)])
    return job


def _gather(work: Work, jobs: Sequence[Job], files: Sequence[File]) -> None:
    """Have the last job's results of these files where `collecting.finished` finds them."""
    cloud, job = work.cloud, jobs[-1]
    number = orders.job_number(cloud.config.name, work.order.run, job.name)
    names = tuple(file.name for file in files)
    cloud.transforms.gather(cloud.config, replace(work.order, number=number, names=names), job)


def _collected(work: Work, jobs: Sequence[Job], before: Report) -> Outcome:
    """Every result that there is, in OUTPUT and counted; the report written, and what was staged removed."""
    there, waiting = _there(work, jobs, before), _waiting(work, before)
    now = replace(before, job=jobs[-1].name if jobs else before.job)
    missing = [file for file in waiting if file.name not in there]
    printed = following.printed(work.cloud, work.order, jobs[-1]) if jobs and missing else Printed()
    wrong = {file.name: printed.why.get(file.name) or _missing(jobs) for file in missing}
    coming = [file for file in waiting if file.name in there]
    for part in _parts(coming) if coming else ():
        # Before there is a result of its own in OUTPUT: the next call knows by it what is ours.
        _write_report(work, now)
        found = in_threads(lambda file: _result(work, file, there[file.name]), part)
        results = dict(zip([file.name for file in part], found, strict=True))
        wrong |= {name: result for name, result in results.items() if isinstance(result, str)}
        good = {name: result for name, result in results.items() if isinstance(result, Result)}
        now = replace(now, files={**now.files, **good})
    now = replace(now, state=FAILED if wrong else DONE)
    _write_report(work, now)
    if not wrong:
        staging.clear(work)
    return Outcome(now, wrong, jobs[-1] if jobs else None, printed)


def _parts(files: Sequence[File]) -> Iterator[Sequence[File]]:
    """Parts of the files, shown as they are asked for, twenty at most: a report is written for each."""
    step = max(MIN_COLLECTED, -(-len(files) // 20))
    with terminal.counting(f"count the results of {report.files(len(files))}", len(files)) as show:
        for at in range(0, len(files), step):
            yield files[at : at + step]
            show(at + step, f"{min(at + step, len(files)):,} of {len(files):,}")


def _write_report(work: Work, now: Report) -> None:
    outputs.write(work.cloud, work.output, report.NAME, report.to_json(now))


def _result(work: Work, file: File, stored: Stored) -> Result | str:
    """The file's result in OUTPUT, or why it is not one."""
    try:
        return collecting.collect(work, file, stored)
    except BatchError as error:
        return str(error)


def _missing(jobs: Sequence[Job]) -> str:
    if jobs and jobs[-1].state == "Completed":
        return "its result is gone, as where a command with another OUTPUT ends first: run this one again"
    return "the job did not finish it"


def tell(work: Work, outcome: Outcome) -> None:
    """Show the report. Raises BatchError if a file has no result."""
    for text in report.lines(outcome.report, str(work.output), outcome.wrong):
        terminal.line(text)
    if not outcome.wrong:
        return
    if job := outcome.job:
        terminal.aside(f"transform job {job.name} is {job.state}{f': {job.reason}' if job.reason else ''}")
    for text in outcome.printed.lines:
        terminal.aside(f"  {text}")
    name, why = next(iter(outcome.wrong.items()))
    total = report.files(len(outcome.report.files))
    raise BatchError(f"without a result: {len(outcome.wrong):,} of {total}: {name}: {why}")
