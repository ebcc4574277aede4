"""The check, from an archive to its end: what stops it, stops it at once."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deploy import asking, package, terminal
from deploy.checking import (
    CheckError,
    environment,
    inside,
    installing,
    lints,
    machine,
    report,
    requirements,
    resolving,
    running,
    verdict,
)
from deploy.checking.environment import Environment, Wanted
from deploy.checking.findings import Finding, error, errors
from deploy.checking.layout import RUNTIME, Layout, laid_out
from deploy.checking.report import Step
from deploy.checking.subject import CONSTRAINTS, KIT, REQUIREMENTS, Subject
from deploy.config import DIGEST_ENTRY, Config, container_environment
from deploy.package import Archive
from deploy.target import Say


@dataclass(frozen=True)
class Project:
    """What is to be checked, for one cloud ("aws" or "gcp")."""

    folder: Path
    config: Config
    cloud: str


def check(project: Project, archive: Archive) -> None:
    """Check an archive and show what came of it. Raises CheckError where a deploy should not follow."""
    steps = [Step("archive", f"{archive.members} files, {archive.size / 1e6:,.1f} MB")]
    with laid_out(archive.path) as layout:
        subject = Subject(project.folder, project.config, project.cloud, archive, layout.model)
        found = lints.found(subject)
        steps.append(_looked_through(found))
        if not project.config.check.run:
            steps.append(Step("container", "not run: deploy.toml has [check] run = false", "warning"))
        elif not errors(found):
            steps, found = _run(subject, layout, steps, found)
    _show(report.table(steps))
    _show(report.findings(found))
    _conclude(found)


def _looked_through(found: list[Finding]) -> Step:
    state = "failed" if errors(found) else "warning" if found else "ok"
    told = "sizes, requirements, wheels, image, pickles, paths"
    return Step("files", f"{told}: {report.counted(found)}" if found else told, state)


def _run(
    subject: Subject, layout: Layout, steps: list[Step], found: list[Finding]
) -> tuple[list[Step], list[Finding]]:
    try:
        with ExitStack() as stack:
            with terminal.working("make the container's Python") as say:
                python = stack.enter_context(environment.held(_wanted(subject), say))
                _resolve(subject, say)
            origin = "made now" if python.made else "kept from before"
            told = f"Python {platform.python_version()}, {len(python.packages())} packages, {origin}"
            steps = [*steps, Step("environment", told)]
            seen = _served(subject, layout, python)
    except installing.Failed as failed:
        _show(report.traceback(str(failed).splitlines()))
        failure = _not_installed(subject, failed)
        return [*steps, Step("environment", "cannot be installed", "failed")], [*found, failure]
    _show(report.traceback(seen.lines))
    return [*steps, *seen.steps], [*found, *seen.findings]


def _not_installed(subject: Subject, failed: installing.Failed) -> Finding:
    place = f"inference/{REQUIREMENTS}"
    if isinstance(failed, resolving.NoWheel):
        value = f"not all of it has a wheel for {subject.machine_type} (see above)"
        return error(place, value, "name versions that have one, or take a machine type like this one's")
    return error(
        place, "pip cannot install it (see above)", "name versions that there are, and that fit together"
    )


def _wanted(subject: Subject) -> Wanted:
    own = subject.code / REQUIREMENTS
    # As the image's Dockerfile has it: what else of the runtime's is in it, EXTRAS says.
    extras = subject.config.image.arguments.get("EXTRAS", "").split()
    names = [REQUIREMENTS, *(f"requirements-{extra}.txt" for extra in extras)]
    runtime = [KIT / RUNTIME / name for name in names]
    torch = any(line.name == "torch" for line in subject.lines)
    return Wanted((*runtime, own), requirements.included(subject.lines), CONSTRAINTS, torch)


def _resolve(subject: Subject, say: Say) -> None:
    architecture = machine.processor(subject.machine_type)
    if not machine.is_like_this(architecture):
        say(f"finds wheels for {architecture}")
        resolving.resolve(_wanted(subject), architecture, say)


def _served(subject: Subject, layout: Layout, python: Environment) -> verdict.Verdict:
    samples = [request.body.decode() for request in asking.samples(subject.project)]
    told = container_environment(subject.config) | {DIGEST_ENTRY: subject.archive.digest}
    order = inside.Order(
        python=str(python.python),
        runtime=str(layout.runtime),
        model=str(layout.model),
        home=str(layout.home),
        environment=running.variables(layout, python.python, told),
        samples=samples,
        old=package.is_of_another_server(subject.code),
        network=subject.config.check.network,
        parent=os.getpid(),
    )
    with terminal.working("serve the model as a container does") as say:
        outcome = running.run(order, say)
    return verdict.judged(outcome, layout, len(samples), subject.config.check)


def _show(lines: Iterable[report.Text]) -> None:
    for text, style in lines:
        terminal.line(text, style)


def _conclude(found: list[Finding]) -> None:
    counted = report.counted(found)
    if errors(found):
        raise CheckError(f"check: {counted}: nothing was sent anywhere")
    terminal.line(f"checked{f': {counted}' if counted else ', and nothing is in the way of a deploy'}")
