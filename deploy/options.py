"""The command line: verbs, options, and what `--help` teaches. It imports nothing that takes time."""

import argparse
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from deploy.latency import MOST_AT_ONCE

DESCRIPTION = "Put a model and its handler behind an endpoint, and look after it."
EPILOG = """\
variables of make, and the options they stand for:
  PROJECT=DIR   --project DIR   a folder with deploy.toml, training/ and inference/ (this one)
  CLOUD=aws     --cloud aws     which cloud
  LIVE=1        --live          shows the plan and asks before anything billed is created
  YES=1         --yes           answers every question with yes

examples:
  python -m deploy deploy-endpoint
  python -m deploy check
  python -m deploy batch-transform --input flights/ --output scored/ --on-error keep
  python -m deploy invoke --body flights.csv --accept application/jsonlines
  python -m deploy latency --concurrency 8 --plot build/latency.png
  python -m deploy import --from model.mar --to digits
  python -m deploy logs --follow --since 10m
  python -m deploy rollback --to 3f9a0c12b7de

exit status: 0 done, 1 failed (the reason is the last line), 2 wrong usage, 130 stopped by Ctrl-C
"""
VERBS = {
    "deploy-endpoint": "train if there is no model, package, plan, apply, wait, prove it with the samples",
    "batch-transform": "score files, here or in the cloud, by a job: rows in = rows out",
    "check": "serve the archive as a container does, offline, and look it through, before a deploy does",
    "plan": "show what deploy-endpoint would change; change nothing",
    "invoke": "post the samples, or a file, and print the answers",
    "latency": "replay the samples: where the time of an answer goes, phase by phase, held to a budget",
    "status": "the endpoint's state, and the versions that are kept",
    "logs": "what the containers printed",
    "rollback": "put an older version back in service",
    "destroy": "remove everything of this deployment, and prove it",
    "train": "run training/train.py as a training job, and bring its model to build/model",
    "optimize": "try what makes the model lighter, show what each is worth, and keep the best",
    "infra": "make what must exist in the account first: bucket, roles, registry, image builds, budget",
    "import": "lay out a model and handler of another server as a project, without touching its files",
}
WITHOUT_A_PROJECT = {"import"}
IMPORT_EPILOG = """\
what FROM may be; the runtime says which it is, and where several are possible HANDLER decides:
  SageMaker      a source folder (inference.py or another entry file, perhaps in code/), a model.tar.gz
  Vertex AI      a folder with predictor.py; model.joblib, model.pkl or model.bst of scikit-learn or XGBoost
  TorchServe     a .mar, or its files
  Hugging Face   a repository's folder: handler.py with EndpointHandler, or config.json and weights alone
  TorchScript    model.pt
"""
INFRA_EPILOG = """\
what --set (SET of make) may set on AWS; what is not set stays as it is:
  Email=me@example.org       who is told when the month's cost nears Amount; without it there is no budget
  Amount=100                 what the whole account may cost in a month, in US dollars
  DeploymentNames=team-*     the names that the roles are for, with * and ?; at first that of deploy.toml
  InvokedEndpoint=iris       the one endpoint that the invoker may invoke; at first that of deploy.toml
  InstanceTypes=ml.m*,ml.c*  the machines that may be deployed and trained on; at first all
  DataPrefix=data            where in the bucket channels and batch jobs may read and write besides
  LogDays=30                 for how long the logs of image builds are kept
"""
LATENCY_EPILOG = """\
what is measured, in milliseconds at p50, p95 and p99, each with its share of the whole:
  whole          from the call of the SDK to the whole answer, as seen from here
  network        what is left of it beside the container's phases: SDK, network, platform, HTTP
  queue          waiting for the model
  decode, preprocess                   data input time
  predict                              model time
  postprocess, encode                  correction of the result
Of a handler that streams, also the time to its first piece (`first`), until which the container's phases
are told, and that of the pieces after it (`stream`).
The first request of each connection is not counted. With many at once, what this process needs of its own
machine is in network, too. Ctrl-C shows what there is.

a budget in deploy.toml, in milliseconds at p95; one that is broken is exit status 1, with what helps:
  [latency]
  budget = { whole = 50, predict = 20 }
"""
CHECK_EPILOG = """\
what is done, without a cloud:
  files        sizes against the cloud's limits; requirements that no image can be built with or that another
               could take the place of; wheels for another machine; Python and torch against the image's;
               pickles that run code, and the scikit-learn that made them; paths of this machine
  environment  a Python with inference/requirements.txt and the runtime, and nothing else; kept by its content
  container    the archive, unpacked read-only and served from there as an ordinary user, in another folder,
               with no network where this machine can do that (it says so where it cannot)
  /ping, samples, SIGTERM   as SageMaker and as Vertex AI ask, and the answers compared
An error is exit status 1, with the handler's traceback, its line and what to change; a warning is shown.
`deploy-endpoint --live` does all this first.

what is meant to be so, deploy.toml says:
  [check]
  network = true                      # the handler needs the network
  repeatable = false                  # the same request may be answered otherwise each time
  trusted_pickles = ["model.joblib"]  # below build/model
  run = false                         # this machine cannot run the handler, which needs a GPU, say
"""
UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
# A schedule is run within the minute that it names; a year is what Cloud Scheduler's can tell apart.
SHORTEST_TTL, LONGEST_TTL = timedelta(minutes=1), timedelta(days=364)


def parser() -> argparse.ArgumentParser:
    """What reads the command line."""
    whole = argparse.ArgumentParser(
        prog="python -m deploy",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = whole.add_subparsers(dest="verb", required=True, metavar="VERB", title="verbs")
    shared = _shared_options()
    for verb, what in VERBS.items():
        parents = [shared] if verb not in WITHOUT_A_PROJECT else []
        command = commands.add_parser(verb, help=what, description=what, parents=parents)
        _OPTIONS.get(verb, lambda _: None)(command)
    return whole


def _shared_options() -> argparse.ArgumentParser:
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument(
        "--project", type=Path, default=Path(), metavar="DIR", help="where deploy.toml is (.)"
    )
    shared.add_argument("--cloud", choices=["aws", "gcp"], default="aws", help="which cloud (aws)")
    shared.add_argument("--yes", action="store_true", help="answer every question with yes")
    shared.add_argument("--live", action="store_true", help="ask before anything billed is created")
    return shared


def _invoke_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--body", type=Path, metavar="FILE", help="what to post (default: each of the samples)"
    )
    command.add_argument("--content-type", default="", help="of the body (default: by the file's name)")
    command.add_argument("--accept", default="", help="the content type wanted back")


def _check_options(command: argparse.ArgumentParser) -> None:
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = CHECK_EPILOG


def _batch_options(command: argparse.ArgumentParser) -> None:
    place = "a file or folder, or s3://bucket/prefix (gs:// with --cloud gcp)"
    command.add_argument("--input", required=True, metavar="PLACE", help=f"what to score: {place}")
    command.add_argument(
        "--output", required=True, metavar="PLACE", help="where results go: a folder, or s3://… or gs://…"
    )
    command.add_argument("--engine", choices=["local", "ray"], help="score on this machine, without a cloud")
    settings = command.add_argument_group("settings", "in the place of those in [batch] of deploy.toml")
    settings.add_argument(
        "--header", choices=["none", "strip"], help="whether a CSV file's first line is one"
    )
    settings.add_argument("--on-error", choices=["fail", "keep"], help="whether a bad row costs its file")
    settings.add_argument("--join", choices=["none", "input"], help="whether a prediction comes with its row")
    settings.add_argument(
        "--accept", choices=["application/jsonlines", "text/csv"], help="the form of the results"
    )


def _import_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--from",
        dest="source",
        type=Path,
        required=True,
        metavar="PLACE",
        help="a folder, an archive or a file",
    )
    command.add_argument(
        "--to", type=Path, metavar="DIR", help="the project's folder, new or empty (named after FROM, here)"
    )
    command.add_argument("--handler", default="", metavar="FILE[:NAME]", help="which of several is meant")
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = IMPORT_EPILOG


def _optimize_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--choose", default="", metavar="NAME", help="this variant, or none: the model as it is (the best)"
    )
    command.add_argument(
        "--cosine", type=float, default=0.999, help="what answers must have to be chosen by itself (0.999)"
    )
    command.add_argument(
        "--input", type=Path, metavar="FILE", help="JSON Lines to measure with (inference/samples.jsonl)"
    )


def _latency_options(command: argparse.ArgumentParser) -> None:
    _invoke_options(command)
    command.add_argument(
        "--times",
        type=_whole(1_000_000),
        default=100,
        metavar="N",
        help="how often each request is posted (100)",
    )
    command.add_argument(
        "--concurrency",
        type=_whole(MOST_AT_ONCE),
        default=1,
        metavar="N",
        help=f"how many are under way at once, 1 to {MOST_AT_ONCE} (1)",
    )
    command.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the phases at p50, p95 and p99 (needs matplotlib)"
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = LATENCY_EPILOG


def _ttl_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--ttl",
        type=_lifetime,
        metavar="TIME",
        help="remove the endpoint by itself after that time, such as 30m, 4h, 2d; without it, it stays",
    )


def _logs_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--follow", action="store_true", help="go on printing until Ctrl-C")
    command.add_argument(
        "--since", type=_age, default=timedelta(hours=1), metavar="AGE", help="such as 30s, 10m, 2h, 1d (1h)"
    )


def _rollback_options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--to", default="", metavar="VERSION", help="its name or 12 digits, as in status")


def _infra_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--set",
        type=_settings,
        default={},
        metavar="'NAME=VALUE …'",
        help="what infra/ leaves open, such as 'Email=me@example.org Amount=50'; kept until it is set again",
    )
    command.formatter_class = argparse.RawDescriptionHelpFormatter
    command.epilog = INFRA_EPILOG


_OPTIONS = {
    "batch-transform": _batch_options,
    "deploy-endpoint": _ttl_options,
    "plan": _ttl_options,
    "check": _check_options,
    "import": _import_options,
    "infra": _infra_options,
    "invoke": _invoke_options,
    "latency": _latency_options,
    "logs": _logs_options,
    "optimize": _optimize_options,
    "rollback": _rollback_options,
}


def _settings(text: str) -> dict[str, str]:
    found = {word: re.fullmatch(r"([A-Za-z]+)=(\S*)", word) for word in text.split()}
    if wrong := [word for word, match in found.items() if match is None]:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r}: expected NAME=VALUE, such as Amount=50")
    return {match[1]: match[2] for match in found.values() if match}


def _whole(most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,7}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text!r}: expected a whole number of 1 to {most}")
        return int(text)

    return read


def _age(text: str) -> timedelta:
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"{text!r}: expected a number and s, m, h or d, such as 10m")
    return timedelta(**{UNITS[found[2]]: int(found[1])})


def _lifetime(text: str) -> timedelta:
    right = "a whole number and m, h or d, from 1m to 364d, such as 4h"
    if not re.fullmatch(r"[0-9]{1,6}[mhd]", text) or not SHORTEST_TTL <= _age(text) <= LONGEST_TTL:
        raise argparse.ArgumentTypeError(f"{text!r}: expected {right} (TTL of make)")
    return _age(text)
