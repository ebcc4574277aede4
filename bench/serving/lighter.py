"""The encoder with the lighter model that `optimize` chooses for it, as one more row of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

from bench.serving import workloads
from bench.serving.contestants import ROOT, Kind, Server, ours
from bench.serving.peers import environments
from bench.serving.running import Place
from bench.serving.workloads import Prepared

WORKLOAD = "encoder"
# Not the requests whose answers are checked, which are the first.
INSTANCES = 32


def row(prepared: Prepared, place: Place, choose: str) -> Server | None:
    """Optimize the workload's model, in our environment; None where it stays as it is.

    SystemExit where `optimize` fails. What it prints, its table among it, goes to stderr.
    """
    folder = prepared.model.with_name(f"{prepared.model.name}-lighter")
    if not _optimized(prepared, place, choose, folder.with_name(f"{folder.name}-variant")):
        return None
    shutil.copytree(prepared.model, folder)
    folder.with_name(f"{folder.name}-variant").rename(folder / "optimized")
    name = prepared.workload.name
    return replace(ours(), name="slipway-optimized", kind=Kind.OPTIMIZED, workloads=(name,), model=folder)


def _optimized(prepared: Prepared, place: Place, choose: str, out: Path) -> bool:
    instances = prepared.model.with_name("instances.jsonl")
    chosen = workloads.instances(prepared.workload.model)[-INSTANCES:]
    instances.write_text("".join(f"{json.dumps(one)}\n" for one in chosen))
    python = str(environments.python(place.environments, environments.OURS).absolute())
    words = [python, "-m", "inference.serving", "optimize", str(prepared.model), "--out", str(out)]
    words += ["--instances", str(instances), *(["--choose", choose] if choose else [])]
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_HUB_OFFLINE": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }
    if subprocess.run(words, env=environment, stdout=sys.stderr).returncode:
        raise SystemExit("optimize failed: its words are above")
    return out.is_dir()
