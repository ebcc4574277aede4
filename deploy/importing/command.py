"""The verb: its stages, and what a person is told of them."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import config, package, terminal
from deploy.importing import (
    ImportingError,
    laying,
    layout,
    recognising,
    requirements,
    samples,
    settings,
    sources,
)
from deploy.importing.kinds import KINDS
from deploy.importing.laying import Place
from deploy.importing.layout import Layout
from deploy.importing.recognising import Recognised
from deploy.importing.requirements import Requirements
from deploy.importing.samples import Samples
from deploy.package import PackageError, members

_SHOWN_FILES = 8
_PICKLES = (".pkl", ".pickle", ".joblib")


@dataclass(frozen=True)
class Project:
    """What was found, and what became of it."""

    found: Recognised
    layout: Layout
    requirements: Requirements
    samples: Samples | None


def run(options: Namespace) -> None:
    """Lay out what --from names as a project at --to.

    Raises ImportingError, UnpackError for a damaged model.tar.gz, PackageError for what may not be deployed.
    """
    source = options.source
    to = options.to or _default(source)
    with laying.made(to, source) as place:
        with terminal.working(f"import {source}"):
            project = _read(place, source, options.handler)
            _write(place, project)
            _check(place, project)
        laying.finish(place)
        _tell(project, to)


def _default(source: Path) -> Path:
    """A folder of this one, named after the source; where that is the source itself, beside it."""
    name = settings.named(sources.name_of(source))
    return Path(f"{name}-slipway" if Path(name).resolve() == source.resolve() else name)


def _read(place: Place, source: Path, wanted: str) -> Project:
    found = recognising.recognised(sources.opened(source, place.unpacked), wanted)
    laid = layout.laid(found.reading, found.source.files)
    return Project(found, laid, requirements.written(found.reading, laid), samples.found(found.source.files))


def _write(place: Place, project: Project) -> None:
    laying.lay(place, project.layout)
    texts = {**project.layout.written, layout.REQUIREMENTS: project.requirements.text}
    texts |= {"samples.jsonl": project.samples.text} if project.samples else {}
    laying.write(place, {f"{laying.CODE}/{name}": text for name, text in texts.items()})
    entry = next(iter(project.layout.written), "")
    handler = recognising.confirmed(project.found, _as_archived(place, project, texts), entry)
    name = settings.named(place.to.absolute().name)
    about = KINDS[project.found.reading.shape]
    laying.write(place, {config.FILE: settings.written(name, handler, about, project.layout.code)})


def _as_archived(place: Place, project: Project, texts: Mapping[str, str]) -> dict[str, Path]:
    """The files of the project by the names that they will have in the archive."""
    code = {*project.layout.code, *texts}
    return {
        **{name: place.project / laying.MODEL / name for name in project.layout.model},
        **{f"{members.CODE}/{name}": place.project / laying.CODE / name for name in code},
    }


def _check(place: Place, project: Project) -> None:
    """What packaging would refuse is refused now."""
    config.load(place.project)
    code, model = place.project / laying.CODE, place.project / laying.MODEL
    try:
        package.check(code, model)
        if project.layout.model:
            members.collect(model, code)
    except PackageError as error:
        told = str(error).replace(str(code), "FROM").replace(str(model), "FROM")
        raise ImportingError(told) from None


def _tell(project: Project, to: Path) -> None:
    reading = project.found.reading
    image = f", as in AWS's {reading.image} image" if reading.image else ""
    terminal.line(f"recognised   {reading.text}{image}", style="bold")
    terminal.line(f"{to}/")
    terminal.line("  deploy.toml   for the local clouds as it is; for LIVE=1 set what is marked in it")
    new = [*project.layout.written, layout.REQUIREMENTS, *(["samples.jsonl"] if project.samples else [])]
    terminal.line(f"  inference/    {_listed([*project.layout.code, *new])}")
    terminal.line(f"  build/model/  {_listed(project.layout.model) or 'nothing'}")
    for sentence in _remarks(project):
        terminal.line(f"  - {sentence}")
    terminal.line(f"next: {_next(project, to)}")


def _listed(names: Mapping[str, Path] | list[str]) -> str:
    shown = sorted(dict.fromkeys(names))
    more = f" and {len(shown) - _SHOWN_FILES} more" if len(shown) > _SHOWN_FILES else ""
    return f"{', '.join(shown[:_SHOWN_FILES])}{more}"


def _remarks(project: Project) -> Iterator[str]:
    """What a person should know, a sentence each."""
    about = KINDS[project.found.reading.shape]
    if project.found.source.left_out:
        yield f"left out: {_listed(list(project.found.source.left_out))}"
    if project.layout.shared:
        yield f"in both places, as either may be where the code looks: {_listed(project.layout.shared)}"
    pickled = [name for name in project.layout.model if name.endswith(_PICKLES)]
    if pickled:
        yield f"{_listed(pickled)}: a pickle runs code when it is loaded: take it from people you trust alone"
    yield from project.requirements.said
    told = [*settings.variables(project.layout.code), *about.environment]
    if told:
        yield f"if the old server set them, put into [environment] of deploy.toml: {', '.join(told)}"
    if about.replaced:
        yield about.replaced
    yield _of_samples(project)


def _of_samples(project: Project) -> str:
    if project.samples:
        return f"inference/samples.jsonl is {project.samples.file}: a container must answer it to be healthy"
    sample = KINDS[project.found.reading.shape].sample
    return f"no example request is there: write inference/samples.jsonl, a JSON request a line, like {sample}"


def _next(project: Project, to: Path) -> str:
    if not project.layout.model:
        return f"put the model's files into {to / laying.MODEL}, then make deploy-endpoint PROJECT={to}"
    return f"make deploy-endpoint PROJECT={to}"
