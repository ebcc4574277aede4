"""A handler of another server, one answer: in both clouds' jobs and in one on this machine, byte for byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import clouds
import pytest
import routes
from old_handlers import ALL, BODIES, is_as_expected

from deploy.__main__ import main

JOBS = ("sagemaker_job", "vertex_job", "job_here")
ASKED = [(name, kind) for name, old in ALL.items() for kind in old.lines]


@pytest.fixture(scope="module")
def placed(both, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], routes.Deployed]]:
    """A project with nothing but a handler of this name, whose files are those of its own server."""
    made: dict[str, routes.Deployed] = {}

    def find(name: str) -> routes.Deployed:
        if name not in made:
            place = tmp_path_factory.mktemp("old") / f"old-{name}"
            made[name] = routes.Deployed(place, *both)
            old = ALL[name]
            for folder in ("inference", "training", "build/model"):
                (place / folder).mkdir(parents=True)
            (place / "inference" / old.file).write_text(old.text)
            (place / "inference/samples.jsonl").write_text(old.samples)
            (place / "build/model/weights.json").write_text('{"factor": 3}')
            settings = clouds.DEPLOY_TOML.format(name=place.name).rstrip("\n")
            (place / "deploy.toml").write_text(f'{settings}\n\n[batch]\non_error = "keep"\n')
        return made[name]

    yield find
    for one in made.values():
        for cloud in ("aws", "gcp"):
            assert main(["destroy", "--project", str(one.project), "--cloud", cloud, "--yes"]) == 0


@pytest.mark.parametrize(("name", "content_type"), ASKED)
def test_every_job_answers_with_the_lines_that_the_handler_s_own_answers_come_to(placed, name, content_type):
    place = placed(name)
    answers = [getattr(place, job)(BODIES[content_type], content_type) for job in JOBS]
    assert answers[0] == answers[1] == answers[2]
    lines, expected = answers[0].decode().splitlines(), ALL[name].lines[content_type]
    assert len(lines) == len(expected)
    for line, wanted in zip(lines, expected, strict=True):
        assert is_as_expected(line, wanted), line
