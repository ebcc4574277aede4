"""Each subject, deployed once on both clouds, to be asked by every route."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clouds
import pytest

for needed in () if os.environ.get("CI") else ("google.cloud.aiplatform", "gcp_storage_emulator"):
    pytest.importorskip(needed)

sys.path.append(str(Path(__file__).parent))
import routes  # noqa: E402 - beside this file; it needs Google's SDK, and is skipped without
import subjects  # noqa: E402 - likewise
from google.cloud.aiplatform import initializer  # noqa: E402 - likewise

from deploy.__main__ import main  # noqa: E402 - likewise


@pytest.fixture(scope="package")
def both(both_clouds: Callable[[str], Any]) -> Iterator[tuple[Any, Any]]:
    """AWS and Google Cloud; this process and the SDK in it know of no others."""
    aws, gcp = both_clouds("aws"), both_clouds("gcp")
    settings = vars(initializer.global_config)
    before = dict(settings)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in gcp.local.environment.items():
            patch.setenv(name, value)
        for cloud in (aws, gcp):
            cloud.forget()
        routes.initialized(gcp.local.url)
        yield aws, gcp
        for cloud in (aws, gcp):
            cloud.forget()
    settings.clear()
    settings.update(before)


@pytest.fixture(scope="package")
def deployed(
    both: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[subjects.Subject], routes.Deployed]]:
    """Puts a subject on its three endpoints, where it stays until all have been asked."""
    made: dict[str, routes.Deployed] = {}

    def find(subject: subjects.Subject) -> routes.Deployed:
        if subject.name not in made:
            place = tmp_path_factory.mktemp("equal") / subject.name
            made[subject.name] = routes.Deployed(place, *both)
            write(made[subject.name], subject)
            on_all(made[subject.name], "deploy-endpoint")
        return made[subject.name]

    yield find
    for one in made.values():
        on_all(one, "destroy", "--yes")


def on_all(deployed: routes.Deployed, verb: str, *options: str) -> None:
    """The verb, for each endpoint."""
    placed = [(deployed.project, "aws"), (deployed.project, "gcp"), (deployed.shared, "gcp")]
    for place, cloud in placed:
        assert main([verb, "--project", str(place), "--cloud", cloud, *options]) == 0


def write(deployed: routes.Deployed, subject: subjects.Subject) -> None:
    """The subject's project, and the same with a shared endpoint."""
    for place, endpoint in ((deployed.project, ""), (deployed.shared, 'endpoint = "shared"\n')):
        written(place, subject)
        text = clouds.DEPLOY_TOML.format(name=place.name).rstrip("\n")
        (place / "deploy.toml").write_text(f"{text}\n{endpoint}")


def written(place: Path, subject: subjects.Subject) -> None:
    """A project of the subject's files; its model folder holds the handler, too, so that it can be called."""
    for folder in ("inference", "training", "build/model"):
        (place / folder).mkdir(parents=True)
    (place / "inference/handler.py").write_text(subject.handler)
    (place / "inference/requirements.txt").write_text("")
    (place / "inference/samples.jsonl").write_bytes(subject.bodies[subjects.JSON_LINES])
    (place / "build/model/handler.py").write_text(subject.handler)
    subject.write_model(place / "build/model")
