"""The command on Ray: on a cluster that is there, which has nothing of the kit, and on one of its own."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import orjson
import pyarrow
import pyarrow.parquet
import pytest
from waiting import is_alive, until

from inference.serving.batch import on_ray
from inference.serving.processes.workers import Job, Reply

# A node as somebody else would have started it; its workers inherit its environment and its folder.
NODE = """
import sys, ray
ray.init(address="local", num_cpus=2, object_store_memory=200 * 2**20, include_dashboard=False,
         logging_level="error", _temp_dir=sys.argv[1])
print(ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
ray.shutdown()
"""
WITHOUT_RAY = """
import runpy, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "ray":
            raise ModuleNotFoundError("No module named 'ray'", name="ray")

sys.meta_path.insert(0, Blocked())
sys.argv = ["batch", *sys.argv[1:]]
runpy.run_module("inference.serving", run_name="__main__")
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the environment has to say of a running cluster of two CPUs."""
    # The paths of Ray's sockets begin with this folder, and may have 107 bytes.
    place, deaths = Path(f"/tmp/ray-{uuid.uuid4().hex[:8]}"), tmp_path_factory.mktemp("deaths")
    known = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0", "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "t" * 32}
    quiet = {"RAY_USAGE_STATS_ENABLED": "0", "HOME": str(deaths), "DEATHS": str(deaths)}
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    node = subprocess.Popen(
        [sys.executable, "-c", NODE, str(place)],
        cwd=deaths,
        env={**clean, **known, **quiet},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    address = node.stdout.readline().strip()
    yield {**known, "RAY_ADDRESS": address, "DEATHS": str(deaths)}
    node.communicate(timeout=20)
    subprocess.run(["rm", "-rf", place], check=True)


def as_parquet(values: range) -> bytes:
    sink = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"x": list(values)}), sink, row_group_size=3000)
    return sink.getvalue()


LINES = b"".join(orjson.dumps({"x": n}) + b"\n" for n in range(20_000))
TABLE = "y,x\n" + "".join(f"text,{n}\n" for n in range(20_000))


def answers(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("[!.]*")}


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("a.jsonl", LINES + b'{"x":"refuse"}\n\n{no\n"crash"\n' + LINES, ["--on-error", "keep"]),
        ("a.csv", TABLE, ["--header", "strip", "--join", "input"]),
        ("a.ndjson.gz", gzip.compress(LINES), []),
        ("a.parquet", as_parquet(range(20_000)), []),
    ],
)
def test_the_answers_are_those_of_this_machine(batch, cluster, name, content, options):
    batch.put(name, content)
    assert batch.run(*options).returncode == 0
    expected = answers(batch.output)
    batch.output.rename(batch.folder / "before")
    batch.environment = cluster
    done = batch.run("--engine", "ray", *options)
    assert done.returncode == 0, done.stderr
    assert answers(batch.output) == expected
    assert len(expected) == 1 + ("keep" in options)


def test_what_workers_die_over_is_done_again_and_given_up_the_third_time(batch, cluster):
    batch.environment = cluster
    batch.put("a.jsonl", [*range(9000), "die", *range(9000)])
    batch.put("b.jsonl", [*range(9000), "always"])
    batch.put("c.jsonl", range(9000))
    done = batch.run("--engine", "ray")
    assert done.returncode == 1, done.stderr
    doubled = [{"double": 2 * n} for n in range(9000)]
    assert batch.out("a.jsonl") == [*doubled, {"text": "die"}, *doubled]
    assert batch.out("c.jsonl") == doubled
    assert len(list(Path(cluster["DEATHS"]).glob("[0-9]*"))) == 2
    assert f"failed: {batch.source}/b.jsonl lines " in done.stdout
    assert "to 9001: the worker process died over these records 3 times" in done.stdout
    assert "files 3: 2 scored, 1 failed\nrows in 27,001, rows out 27,001, rows failed 0\n" in done.stdout


OLD = """
import os

def model_fn(model_dir):
    return int(os.environ["FACTOR"])

def predict_fn(data, factor):
    if data.ndim:
        raise RuntimeError("no such record")
    return factor * data
"""


def test_a_handler_of_another_server_answers_there_too_with_the_variables_that_are_named(batch, cluster):
    (batch.folder / "model/code/handler.py").unlink()
    (batch.folder / "model/code/inference.py").write_text(OLD)
    batch.put("a.jsonl", [*range(3000), [1], *range(3000)])
    answers = []
    for engine, known in (("local", {}), ("ray", cluster)):
        batch.environment = {**known, "FACTOR": "5"}
        done = batch.run("--on-error", "keep", "--env", "FACTOR", "--engine", engine)
        assert done.returncode == 0, done.stderr
        assert "rows in 6,001, rows out 6,001, rows failed 1" in done.stdout
        answers.append((batch.output / "a.jsonl.out").read_bytes())
        shutil.rmtree(batch.output)
    assert answers[0] == answers[1]
    assert answers[0].splitlines()[2] == b"10"


class Stillness:
    """As much of Ray as it takes to lose workers: all that is asked of it is a reference; nothing runs."""

    def __getattr__(self, name):
        return Stillness()

    def __call__(self, *given, **options):
        return Stillness()


@pytest.fixture
def losing(tmp_path):
    """Workers of which there is one at a time, ready, and how to lose it."""
    workers = on_ray.RayWorkers(Job(tmp_path, "", None, 1), _ray=Stillness())
    workers._add()
    workers._crew[0].ready = True

    def lose():
        reply = workers._replace(workers._crew[0], RuntimeError("killed"))
        workers._crew[0].ready = True
        return reply

    return workers, lose


def held(workers) -> list[int]:
    return [key for key, _ in workers._crew[0].held]


def test_a_death_over_several_pieces_is_held_against_none_and_each_is_done_again_alone(losing):
    workers, lose = losing
    for key in (1, 2):
        assert workers.has_room()
        workers.give(key, ("", 0, 0, b""))
    assert held(workers) == [1, 2]
    assert lose() is None
    for key in (1, 2):
        assert not workers.has_room()
        assert held(workers) == [key]
        assert lose() == Reply(key, lost=True)
    assert workers.has_room()


def test_a_piece_that_a_worker_has_died_over_alone_is_not_given_beside_others_again(losing):
    workers, lose = losing
    assert workers.has_room()
    workers.give(1, ("", 0, 0, b""))
    assert lose() == Reply(1, lost=True)
    for key in (2, 1):
        assert workers.has_room()
        workers.give(key, ("", 0, 0, b""))
    assert not workers.has_room()
    assert held(workers) == [2]
    assert lose() == Reply(2, lost=True)
    assert not workers.has_room()
    assert held(workers) == [1]


def test_a_record_that_fails_costs_its_file_and_is_named(batch, cluster):
    batch.environment = cluster
    batch.put("a.jsonl", [*range(15_000), "crash", 2])
    batch.handler((batch.folder / "model/code/handler.py").read_text() + "\nprint('a word of the handler')\n")
    done = batch.run("--engine", "ray")
    assert done.returncode == 1
    assert done.stdout.startswith(f"failed: {batch.source}/a.jsonl line 15001: ")
    assert "the model broke" in done.stdout
    assert "a word of the handler" in done.stderr
    assert batch.files() == []


def test_a_handler_that_does_not_load_ends_the_run_with_its_traceback(batch, cluster):
    batch.environment = cluster
    batch.put("a.jsonl", [1])
    batch.handler(
        "class Handler:\n    def load(self, m): import inference\n    def predict(self, inputs): ...\n"
    )
    done = batch.run("--engine", "ray")
    assert done.returncode == 1
    assert "No module named 'inference'" in done.stderr
    assert "the model could not be loaded" in done.stderr.splitlines()[-1]
    assert batch.files() == []


def test_the_node_keeps_nothing_of_the_kit_and_the_model(batch, cluster):
    batch.environment = cluster
    batch.put("a.jsonl", [1])
    batch.handler(
        "class Handler:\n"
        "    def load(self, model_dir): self.at = model_dir\n"
        "    def predict(self, inputs): return [self.at for one in inputs]\n"
    )
    # One worker: a second may still be unpacking when so short a run ends, and then the next run removes it.
    assert batch.run("--engine", "ray", "--workers", "1").returncode == 0
    (place,) = batch.out("a.jsonl")
    assert place.endswith("/model") and "slipway-ray-" in place
    until(lambda: not Path(place).parent.exists())  # the actors may end a moment after the run


def test_a_cluster_that_is_not_there_is_named(batch, cluster):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        batch.environment = {**cluster, "RAY_ADDRESS": address}
        batch.put("a.jsonl", [1])
        done = batch.run("--engine", "ray")
    assert done.returncode == 1
    assert f"slipway: error: RAY_ADDRESS {address}: " in done.stderr.splitlines()[-1]


def test_without_ray_it_says_what_to_install(batch):
    batch.put("a.jsonl", [1])
    words = [sys.executable, "-c", WITHOUT_RAY, *batch.command("--engine", "ray")[3:]]
    done = subprocess.run(words, **batch.settings(), capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "pip install -r inference/serving/requirements-ray.txt" in done.stderr.splitlines()[-1]
    assert batch.files() == []


def descendants(root: int) -> dict[int, str]:
    """The processes that a process has started, and those that these have: numbers and command lines."""
    parents, lines = {}, {}
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[int(process.name)] = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            lines[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    found, ahead = {}, [root]
    while ahead:
        parent = ahead.pop()
        children = [pid for pid, its in parents.items() if its == parent]
        found |= {pid: lines[pid] for pid in children}
        ahead += children
    return found


def listening(processes: list[int]) -> set[str]:
    """The addresses (hexadecimal, as in proc(5)) that the processes listen on."""
    sockets = set()
    for process in processes:
        with contextlib.suppress(OSError):
            sockets |= {str(fd.readlink()) for fd in Path(f"/proc/{process}/fd").iterdir()}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            cells = line.split()
            if cells[3] == "0A" and f"socket:[{cells[9]}]" in sockets:
                found.add(cells[1].partition(":")[0])
    return found


def test_its_own_ray_is_private_and_ends_with_it(batch):
    home = batch.folder / "home"
    home.mkdir()
    batch.environment = {"HOME": str(home)}
    batch.put("a.jsonl", [*range(9000), "sleep"])
    batch.handler((batch.folder / "model/code/handler.py").read_text().replace(
        "time.sleep(60)", "open(os.environ['HOME'] + '/../asleep', 'w').close(); time.sleep(60)"
    ))  # fmt: skip
    running = batch.start("--engine", "ray")
    until((batch.folder / "asleep").exists, 60)
    processes = descendants(running.pid)
    places = {
        word.partition("=")[2]
        for line in processes.values()
        for word in line.split()
        if "--temp-dir=" in word
    }
    assert {"ray::Scorer.answer", "ray::DashboardAgent"} <= {line.strip() for line in processes.values()}
    # 127.0.0.1, as it is and as an IPv6 address that stands for it.
    assert listening([running.pid, *processes]) <= {"0100007F", "0000000000000000FFFF00000100007F"}
    assert listening([running.pid, *processes])
    running.send_signal(signal.SIGTERM)
    said, _ = running.communicate(timeout=30)
    assert running.returncode == 143, said
    until(lambda: not any(map(is_alive, processes)))
    assert [*home.iterdir()] == []
    assert places and not any(Path(place).exists() for place in places)
    assert batch.files() == []
