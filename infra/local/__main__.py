"""The local cloud's commands: `python -m infra.local up|down|env|status|permissions`."""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

from infra.local import daemon
from infra.local.settings import PREFIX, SettingError, Settings, from_environment

CONTAINERS = f"{PREFIX}CONTAINERS"

DESCRIPTION = """\
The local cloud: AWS's and Google's APIs for this machine alone, in which endpoints are real processes.

  eval "$(python -m infra.local env)"     point the SDKs of AWS and of Google in this shell at it
  python -m infra.local status            what runs
  python -m infra.local down              stop it, and every container; what it held is gone

It starts by itself, runs in the background, and is shared by later commands.
Settings are SLIPWAY_LOCAL_* variables, such as SLIPWAY_LOCAL_PORT (4577) and SLIPWAY_LOCAL_HOME (.local)."""


def main(argv: list[str] | None = None) -> int:
    """Runs one command; the exit status."""
    arguments = _parser().parse_args(argv)
    try:
        return int(arguments.run(from_environment(), arguments))
    except (SettingError, daemon.StartError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m infra.local",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start it, and make what DIR/deploy.toml needs in the account")
    env = commands.add_parser("env", help="the same, and print the lines that point a shell at it")
    for command, run in ((up, _up), (env, _env)):
        command.add_argument(
            "--project",
            type=Path,
            metavar="DIR",
            help="whose deploy.toml names the buckets and the role that must exist first",
        )
        command.set_defaults(run=run)
    permissions = commands.add_parser(
        "permissions", help="calls made that IAM did not allow, and permissions that no role used"
    )
    permissions.add_argument(
        "--project", type=Path, metavar="DIR", help="whose deploy.toml names the account, by its role"
    )
    permissions.add_argument(
        "--as",
        dest="role",
        metavar="ROLE",
        help="besides, what was done without a role and a role of this name may not",
    )
    permissions.set_defaults(run=_permissions)
    commands.add_parser("down", help="stop it with all its containers").set_defaults(run=_down)
    commands.add_parser("status", help="where it is, and which endpoints there are").set_defaults(run=_status)
    return parser


def _up(settings: Settings, arguments: argparse.Namespace) -> int:
    state = _started(settings, arguments)
    print(f"the local cloud is at {state.url}")
    return 0


def _env(settings: Settings, arguments: argparse.Namespace) -> int:
    from infra.local import project, shell

    state = _started(settings, arguments)
    needs = project.needs_of(arguments.project) if arguments.project else project.Needs()
    aws = shell.variables(settings, state.url, needs, os.environ)
    google = shell.google_variables(settings, state.url, needs, os.environ)
    for name, value in {**aws, **google}.items():
        print(f"export {name}={shlex.quote(value)}")
    return 0


def _started(settings: Settings, arguments: argparse.Namespace) -> daemon.State:
    """The local cloud, running, with what the project needs in its account."""
    from infra.local import project, shell

    if not daemon.running(settings.home):
        print(f"starting the local cloud (log: {daemon.log_file(settings.home)}) …", file=sys.stderr)
    state = daemon.up(settings)
    _check_containers(settings, shell.ask(state.port, "GET", "/_local/status")["containers"])
    needs = project.needs_of(arguments.project) if arguments.project else project.Needs()
    for line in shell.provision(state.port, needs):
        print(line, file=sys.stderr)
    return state


def _check_containers(settings: Settings, running: str) -> None:
    """One that runs already keeps to what it was started with. Raises daemon.StartError."""
    if CONTAINERS in os.environ and running != settings.containers:
        raise daemon.StartError(
            f"{CONTAINERS}={settings.containers}: the local cloud that runs was started for {running}: "
            "stop it first, with all that it holds (make local-down)"
        )


def _down(settings: Settings, arguments: argparse.Namespace) -> int:
    print("the local cloud is stopped" if daemon.down(settings) else "no local cloud is running")
    return 0


def _status(settings: Settings, arguments: argparse.Namespace) -> int:
    from infra.local import shell

    state = daemon.running(settings.home)
    if state is None:
        print("no local cloud is running")
        return 1
    print(f"the local cloud is at {state.url} (process {state.pid}, log {daemon.log_file(settings.home)})")
    told = shell.ask(state.port, "GET", "/_local/status")
    print(f"containers by {told['containers']}")
    for endpoint in told["endpoints"]:
        print("{name}  {status}  {region}  account {account}".format(**endpoint))
    return 0


def _permissions(settings: Settings, arguments: argparse.Namespace) -> int:
    from infra.local import project, shell
    from infra.local.iam import report

    needs = project.needs_of(arguments.project) if arguments.project else project.Needs()
    state = daemon.running(settings.home)
    if state is None:
        print("no local cloud is running")
        return 1
    told = shell.ask(state.port, "GET", "/_local/permissions", {"account": needs.account_id})
    try:
        missing = report.refused_to(told, arguments.role) if arguments.role else []
    except KeyError:
        print(f"error: --as {arguments.role}: there is no such role in the account", file=sys.stderr)
        return 1
    _print_list("calls made but not allowed", report.refused(told))
    if arguments.role:
        _print_list(f"calls made without a role that {arguments.role} may not make", missing)
    _print_list("permissions allowed but never used", report.unused(told))
    return 0


def _print_list(title: str, lines: list[str]) -> None:
    print(f"{title}: {len(lines) or 'none'}")
    for line in lines:
        print(f"  {line}")


if __name__ == "__main__":
    sys.exit(main())
