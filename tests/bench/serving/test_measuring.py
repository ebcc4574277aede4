"""A server is measured only where it answers as the handler does; else its row says why not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from waiting import is_alive, until

from bench.serving import limits, running
from bench.serving.contestants import ROOT, Kind, Server, standard, variant
from bench.serving.measuring import Asked, Plan, Trial, agrees, check, measured, numbers
from bench.serving.peers import environments
from bench.serving.running import Failed, Place, Question
from bench.serving.workloads import NPY, WORKLOADS, Bodies, Prepared, prepare, read_bodies

PLAN = Plan((1,), seconds=1, rounds=1, starts=1, patience_s=0)
ANSWERING = """\
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        body = sys.argv[2].encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *words): pass
HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
"""


def trial(folder: Path, words: tuple[str, ...], environment: str = "here") -> Trial:
    """A server that is these words to this Python, asked one question whose answer is [0.25, 0.75]."""
    (folder / "here").symlink_to(Path(sys.prefix))
    (folder / "bodies").write_bytes(b"{}")
    (folder / "index").write_text("0 2\n")
    prepared = Prepared(WORKLOADS["tiny"], folder, {"instances": Bodies(folder / "bodies", folder / "index")})
    server = Server("under-test", Kind.PEER, environment, words)
    return Trial(server, Asked(prepared, [[0.25, 0.75]]), PLAN, Place(folder, folder, 1))


def test_a_server_that_answers_something_else_is_out(tmp_path: Path) -> None:
    run = measured(trial(tmp_path, ("-c", ANSWERING, "{port}", "[[0.25, 0.7501]]")))
    assert not run.windows
    assert "answers wrong: [0.2500, 0.7501, …] to body 0" in run.failure


def test_a_server_that_ends_is_a_row_with_its_last_words(tmp_path: Path) -> None:
    run = measured(trial(tmp_path, ("-c", "import sys; sys.exit('no such model')")))
    assert run.failure == "ended with status 1: no such model"


def test_the_loop_behind_a_socket_answers_as_the_handler_does(tmp_path: Path) -> None:
    """It is a limit that works: `check` asks it for pictures, eight at once."""
    place = Place(tmp_path, tmp_path, 2)
    (tmp_path / environments.OURS).symlink_to(Path(sys.prefix))
    (row,) = (server for server in standard() if server.name == "socket-loop")
    asked = limits.asked(prepare(WORKLOADS["image"], Path, tmp_path), place)
    with running.started(row, asked.prepared, place) as process:
        body = read_bodies(asked.prepared.bodies["instances"], 1)[0]
        running.first_answer(process, row.ping, Question(row.route, body, NPY))
        check(process, Trial(row, asked, PLAN, place))
        workers = [pid for pid in _children(process.process.pid) if is_alive(pid)]
    assert len(workers) == 1
    until(lambda: not is_alive(workers[0]))


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_an_environment_that_is_not_there_is_a_row_with_what_makes_it(tmp_path: Path) -> None:
    run = measured(trial(tmp_path, (), environment="litserve"))
    assert run.failure == "not installed: python -m bench.serving.peers make litserve"


def test_answers_are_read_whatever_is_written_around_them() -> None:
    bodies = (b'{"predictions": [[1, 2.5]]}', b"[[1, 2.5]]", b'{"outputs": [{"data": [1, 2.5]}]}')
    assert [numbers(body) for body in bodies] == [[1.0, 2.5]] * 3
    with pytest.raises(Failed, match="no predictions"):
        numbers(b'{"error": "busy"}')


def test_an_answer_is_close_to_the_handlers_and_an_encoders_points_where_its_does() -> None:
    assert agrees([0.1, 0.9], [0.100001, 0.9], "tiny")
    assert not agrees([0.1, 0.9], [0.1001, 0.9], "tiny")
    assert not agrees([0.1], [0.1, 0.9], "tiny")
    assert agrees([0.3, 0.4], [0.61, 0.8], "encoder")
    assert not agrees([0.3, 0.4], [0.7, 0.8], "encoder")
    assert not agrees([0, 0], [0.7, 0.8], "encoder")


def test_whatever_a_server_leaves_behind_is_counted_and_ended() -> None:
    script = """
import subprocess, sys, time
from bench.serving import processes
processes.adopt_orphans()
daemon = "import time; block = bytearray(40_000_000)\\nwhile time.process_time() < 30: pass"
start = f"subprocess.Popen([sys.executable, '-c', {daemon!r}], start_new_session=True)"
leaver = f"import subprocess, sys; {start}"
before = processes.clock()
subprocess.run([sys.executable, "-c", leaver], check=True)
deadline = time.monotonic() + 20
while processes.clock().server - before.server < 0.3 or processes.memory() < 40_000_000:
    assert time.monotonic() < deadline, (processes.clock(), processes.memory())
    time.sleep(0.05)
processes.end_all(5)
print(processes.memory())
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.stdout == "0\n", done.stderr


def test_every_contestant_has_a_program_and_an_environment() -> None:
    servers = standard()
    assert len({server.name for server in servers}) == len(servers)
    for server in servers:
        assert server.environment in environments.names()
        modules = [word.partition(":")[0] for word in server.words if word.startswith("bench.serving.apps.")]
        programs = [ROOT / f"{module.replace('.', '/')}.py" for module in modules]
        assert all(program.is_file() for program in programs)
        assert bool(programs) != (server.kit is not None)


def test_a_variant_is_ours_with_what_it_names(tmp_path: Path) -> None:
    lighter = variant(f"int8 model={tmp_path} workload=encoder")
    assert (lighter.name, lighter.kind, lighter.model) == ("slipway-int8", Kind.OPTIMIZED, tmp_path)
    assert lighter.workloads == ("encoder",)
    before = variant(f"before kit={tmp_path} SLIPWAY_CACHE=9")
    assert (before.kind, before.kit) == (Kind.VARIANT, tmp_path)
    assert before.variables["SLIPWAY_CACHE"] == "9"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x kit=/nowhere", "is not a folder"),
        ("x model=/tmp", "workload=encoder"),
        ("x workload=big", "tiny, encoder"),
        ("x cache=1", "VARIABLE=value"),
    ],
)
def test_a_variant_that_means_nothing_is_refused(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        variant(text)
