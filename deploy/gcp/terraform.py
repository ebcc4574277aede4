"""What must exist in a project, made by Terraform, or OpenTofu, from the files of infra/gcp.

Neither knows another address than Google's own, so where a variable leads the verbs elsewhere this refuses.
What Terraform knows of a project lies in `state/` beside the files: lost, it takes for missing what is there.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy.config import Config
from deploy.gcp import clients
from deploy.infrastructure import Draft, Wish
from deploy.plan import Action, Change, Resource
from deploy.target import CloudError, Say

TOOLS = ("terraform", "tofu")
TOLD_LINES = 30  # of what it printed, where it failed
# What `variables.tf` leaves to the person; lists are given with commas between their words.
LISTS = {"deployers", "invokers"}
SETTINGS = {"billing_account", "monthly_budget", *LISTS}
_SETTING = re.compile(r"[\w@.:/,+-]*")
# Source: developer.hashicorp.com/terraform/internals/json-format, "Change Representation"
_ACTIONS: dict[tuple[str, ...], tuple[Action, ...]] = {
    ("create",): ("create",),
    ("update",): ("update",),
    ("delete",): ("delete",),
    ("delete", "create"): ("delete", "create"),
    ("create", "delete"): ("create", "delete"),
}


def check(config: Config, wish: Wish) -> None:
    """Fail now if a setting is none, there is no tool, or it would speak to another cloud than the verbs."""
    for name, value in wish.settings.items():
        if name not in SETTINGS:
            raise CloudError(f"--set {name}: no such setting, expected one of {', '.join(sorted(SETTINGS))}")
        if not _SETTING.fullmatch(value):
            raise CloudError(f"--set {name}={value!r}: expected letters, digits and any of @ . : / , + -")
    if led := sorted(name for name in os.environ if name.startswith(clients.OVERRIDE)):
        raise CloudError(
            f"Terraform speaks to Google itself and not to where {led[0]} leads: LIVE=1, without it, makes "
            "what a real project needs. The local cloud makes its own bucket and needs nothing else"
        )
    _tool()


def settle(config: Config, say: Say) -> None:
    """Nothing: each step below waits for its end."""


def draft(config: Config, wish: Wish, say: Say) -> Draft:
    """What Terraform would change, kept in a file of its own."""
    place = _Place(wish.folder, config.gcp.project)
    place.state.mkdir(exist_ok=True)
    _keep(place, wish.settings)
    _run(place, ["init", "-input=false", "-reconfigure", f"-backend-config=path={place.known}"], say)
    begun = Draft(f"project {config.gcp.project}", id=str(place.plan))
    try:
        _run(place, ["plan", "-input=false", f"-out={begun.id}", *_variables(config, place)], say)
        planned = json.loads(_read(place, ["show", "-json", begun.id]))
    except BaseException:
        discard(config, begun)
        raise
    return replace(begun, changes=tuple(_changes(planned)))


def discard(config: Config, draft: Draft) -> None:
    """Remove the file of a plan that nobody wants."""
    Path(draft.id).unlink(missing_ok=True)


def carry_out(config: Config, draft: Draft, say: Say) -> None:
    """Do what was planned, and nothing else, though the project has changed since: Terraform refuses then."""
    place = _Place(Path(draft.id).parents[1], config.gcp.project)
    try:
        _run(place, ["apply", "-input=false", draft.id], say)
    finally:
        discard(config, draft)


def when_stopped(draft: Draft) -> str:
    """Terraform ends what it has begun, keeps what it knows and gives its lock back; it was waited for."""
    return (
        f"Terraform has ended what it was making in {draft.name}, and the same command again makes the rest"
    )


def told(config: Config, wish: Wish) -> list[str]:
    """The section for deploy.toml, as the files' own output has it."""
    place = _Place(wish.folder, config.gcp.project)
    return _read(place, ["output", "-raw", "deploy_toml"]).splitlines()


class _Place:
    """Where the files are, and what of a project is kept beside them."""

    def __init__(self, folder: Path, project: str) -> None:
        self.folder, self.state = folder, folder / "state"
        self.known = self.state / f"{project}.tfstate"
        self.settings = self.state / f"{project}.json"
        self.plan = self.state / f"{project}.plan"
        self.data = self.state / f"{project}.terraform"


def _keep(place: _Place, settings: Mapping[str, str]) -> None:
    kept = json.loads(place.settings.read_text()) if place.settings.is_file() else {}
    place.settings.write_text(json.dumps({**kept, **settings}, sort_keys=True))


def _variables(config: Config, place: _Place) -> list[str]:
    given: dict[str, Any] = {
        name: [one for one in value.split(",") if one] if name in LISTS else value
        for name, value in json.loads(place.settings.read_text()).items()
    }
    given |= {"project": config.gcp.project, "region": config.gcp.region, "bucket": config.gcp.bucket}
    return [
        f"-var={name}={json.dumps(value) if isinstance(value, list) else value}"
        for name, value in sorted(given.items())
    ]


def _changes(planned: Mapping[str, Any]) -> list[Change]:
    return [
        Change(action, Resource(one["type"].removeprefix("google_"), one["address"].partition(".")[2]))
        for one in planned.get("resource_changes", [])
        for action in _ACTIONS.get(tuple(one["change"]["actions"]), ())
    ]


def _tool() -> str:
    found = next((path for name in TOOLS if (path := shutil.which(name))), None)
    if found is None:
        raise CloudError(
            "neither terraform nor tofu is installed: one of them, 1.5 or newer, makes what infra/gcp says"
        )
    return found


def _run(place: _Place, words: Sequence[str], say: Say) -> None:
    """Have the tool do it; `say` gets what it prints by the line. CloudError with the last where it fails."""
    printed: list[str] = []
    # In a session of its own: a terminal gives Ctrl-C to all of one, and the second ends Terraform at once.
    with subprocess.Popen(
        **_command(place, words), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
    ) as process:
        _heard(process, printed, say)
    _check_done(words, process.returncode, printed)


def _read(place: _Place, words: Sequence[str]) -> str:
    """What the tool answers, without what it warns of."""
    done = subprocess.run(**_command(place, words), capture_output=True, check=False)
    _check_done(words, done.returncode, done.stderr.splitlines(keepends=True))
    return str(done.stdout)


def _command(place: _Place, words: Sequence[str]) -> dict[str, Any]:
    # Its options end at the first word that is none.
    return {
        "args": [_tool(), f"-chdir={place.folder}", words[0], "-no-color", *words[1:]],
        "env": os.environ | {"TF_IN_AUTOMATION": "1", "TF_DATA_DIR": str(place.data)},
        "text": True,
    }


def _check_done(words: Sequence[str], status: int, printed: Sequence[str]) -> None:
    if status:
        last = "".join(deque(printed, TOLD_LINES)).strip()
        raise CloudError(f"{Path(_tool()).name} {words[0]} failed (exit status {status}):\n{last}")


def _heard(process: subprocess.Popen[str], printed: list[str], say: Say) -> None:
    """Take all that the tool prints, to its end. Ctrl-C is handed on to it, and raised when it has ended.

    Left alone it would lose what it knows and keep its lock.
    Source: developer.hashicorp.com/terraform/cli/commands/apply: an interrupt is a graceful stop.
    """
    assert process.stdout is not None
    try:
        for line in process.stdout:
            printed.append(line)
            say(line.strip())
        process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        say("stops: it ends what it has begun")
        _heard(process, printed, say)
        raise
