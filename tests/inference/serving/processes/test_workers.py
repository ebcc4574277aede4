"""Workers: loaded once where that is safe, replaced when they die, and gone when they are closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import is_alive, until

from inference.serving.processes.workers import Job, Workers, WorkersFailed

# Settings of piecework: JSON Lines in and out. A message is a body that a worker would read from a file.
TASK = "inference.serving.batch.piecework"
LINES = ("application/jsonlines", "application/jsonlines", "", False, False)
# Answers with the process that answers and the one that loaded it; notes each that loads. Two that are told
# to meet answer when both are there, so that one cannot do the work of both.
TELLING = """
import os, threading, time

class Handler:
    def load(self, model_dir):
        self.loader, self.met = os.getpid(), os.path.join(model_dir, "met")
        os.makedirs(self.met, exist_ok=True)
        with open(os.path.join(model_dir, "loaders"), "a") as file:
            file.write(f"{os.getpid()}\\n")
        LOAD

    def predict(self, values):
        if "die" in values:
            os.kill(os.getpid(), 9)
        if "sleep" in values:
            time.sleep(60)
        if "meet" in values:
            open(os.path.join(self.met, str(os.getpid())), "w").close()
            while len(os.listdir(self.met)) < 2:
                time.sleep(0.01)
        return [[os.getpid(), self.loader]] * len(values)
"""


THREAD = "threading.Thread(target=time.sleep, args=(300,), daemon=True).start()"


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[Callable[..., Workers]]:
    """Workers for a handler that does this while it loads, closed at the end."""
    started: list[Workers] = []

    def make(load: str = "pass", count: int = 2, handler: str = TELLING, copies: bool = True) -> Workers:
        (tmp_path / "code").mkdir()
        (tmp_path / "code/handler.py").write_text(handler.replace("LOAD", load))
        started.append(Workers(Job(tmp_path, TASK, LINES, count, copies)))
        started[-1].start()
        return started[-1]

    yield make
    for workers in started:
        workers.close()


def loaders(folder: Path) -> set[int]:
    return set(map(int, (folder / "loaders").read_text().split()))


def ask(workers: Workers, *texts: str) -> list[Any]:
    """The replies to these messages, in their order."""
    replies: dict[int, Any] = {}
    ahead = list(enumerate(texts))
    while len(replies) < len(texts):
        while ahead and workers.has_room():
            key, text = ahead.pop(0)
            workers.give(key, ("", 0, 0, text.encode()))
        replies |= {reply.key: reply for reply in workers.take()}
    return [replies[key] for key in range(len(texts))]


def numbers(reply: Any) -> tuple[int, int]:
    """The two that the handler answered with."""
    first, second = map(int, reply.answer[2].decode().strip("[]\n").split(","))
    return first, second


def test_the_handler_is_loaded_once_and_forked(crew, tmp_path):
    workers = crew()
    answered = [numbers(reply) for reply in ask(workers, '"meet"', '"meet"')]
    assert workers.shared
    assert {loader for _, loader in answered} == loaders(tmp_path)
    assert len(loaders(tmp_path)) == 1
    assert len({*loaders(tmp_path), *(worker for worker, _ in answered)}) == 3


def test_a_handler_that_starts_a_thread_is_loaded_by_each_worker(crew, tmp_path):
    workers = crew(THREAD)
    assert not workers.shared
    answered = [numbers(reply) for reply in ask(workers, '"meet"', '"meet"')]
    assert all(worker == loader for worker, loader in answered)
    assert len(loaders(tmp_path)) == 2


@pytest.mark.parametrize("load", ["pass", THREAD], ids=["shared model", "own models"])
def test_a_worker_that_dies_loses_what_it_had_and_is_replaced(crew, load):
    workers = crew(load)
    assert [reply.lost for reply in ask(workers, '"die"', "1", '"die"', "1")] == [True, False, True, False]
    assert [reply.lost for reply in ask(workers, '"meet"', '"meet"')] == [False, False]


@pytest.mark.parametrize("load", ["pass", THREAD], ids=["shared model", "own models"])
def test_a_worker_that_dies_is_missed_though_what_it_forked_lives_on(crew, tmp_path, load):
    handler = TELLING.replace(
        'if "die" in values:',
        'if "die" in values:\n'
        "            if not (child := os.fork()):\n"
        "                time.sleep(60)\n"
        "            open(os.path.join(self.met, str(child)), 'w').close()",
    )
    workers = crew(load, handler=handler)
    lost = ask(workers, '"die"')
    for child in (tmp_path / "met").iterdir():
        os.kill(int(child.name), signal.SIGKILL)
    assert [reply.lost for reply in lost] == [True]


def test_a_handler_that_ignores_its_children_and_closes_its_output_is_forked_all_the_same(
    crew, tmp_path, capfd
):
    workers = crew("import signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); sys.stdout = None")
    assert [reply.lost for reply in ask(workers, '"die"', '"meet"', '"meet"')] == [True, False, False]
    workers.close()
    assert len(loaders(tmp_path)) == 1
    assert "Traceback" not in capfd.readouterr().err


def test_a_killed_loader_is_replaced_when_a_worker_is_needed(crew, tmp_path):
    workers = crew()
    (first,) = loaders(tmp_path)
    os.kill(first, signal.SIGKILL)
    until(lambda: not is_alive(first))
    assert [reply.lost for reply in ask(workers, '"die"')] == [True]
    assert [reply.lost for reply in ask(workers, '"meet"', '"meet"')] == [False, False]
    assert len(loaders(tmp_path)) == 2


@pytest.mark.parametrize("load", ["pass", THREAD], ids=["shared model", "own models"])
def test_closed_workers_are_gone_in_the_middle_of_their_work(crew, tmp_path, load):
    workers = crew(load)
    met = [numbers(reply) for reply in ask(workers, '"meet"', '"meet"')]
    processes = {worker for worker, _ in met} | loaders(tmp_path)
    workers.give(1, ("", 0, 0, b'"sleep"'))
    workers.close()
    until(lambda: not any(map(is_alive, processes)), 5)


@pytest.mark.parametrize(
    ("load", "reason"),
    [
        ("1 / 0", "the process that does it failed"),
        (f"{THREAD.replace('True', 'False')}; 1 / 0", "the process that does it failed"),
        ("os.kill(os.getpid(), 9)", "was ended by SIGKILL"),
    ],
)
def test_a_handler_that_does_not_load_is_an_error(crew, load, reason):
    with pytest.raises(WorkersFailed, match=reason):
        crew(load)


def test_workers_that_never_become_ready_are_not_tried_for_ever(crew):
    # The first loader cannot be forked; every other one ends while it loads.
    others_end = "os.path.getsize(file.name) > 8 and os._exit(1)"
    workers = crew(f"{THREAD}; {others_end}")
    with pytest.raises(WorkersFailed, match="3 workers in a row"):
        ask(workers, *["1"] * 1000, '"sleep"')


def test_with_several_workers_torch_has_one_thread_each(crew):
    handler = (
        "import torch\n"
        "class Handler:\n"
        "    def load(self, model_dir): torch.set_num_threads(2)\n"
        "    def predict(self, values): return [[torch.get_num_threads(), 0]] * len(values)\n"
    )
    workers = crew(handler=handler)
    assert numbers(ask(workers, "1")[0]) == (1, 0)


LARGE = """
import torch, threading, time
class Handler:
    def load(self, model_dir):
        weights = torch.ones(2048, 2048)
        torch.empty(2048, 2048).copy_(weights)  # as load_state_dict does
        LOAD
    def predict(self, values): return [[torch.get_num_threads(), 0]] * len(values)
"""


@pytest.fixture
def two_cores():
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("torch has one thread on one core whatever is done")


def test_a_model_whose_weights_torch_copies_with_all_cores_is_shared_all_the_same(crew, two_cores):
    workers = crew(handler=LARGE)
    assert workers.shared
    assert numbers(ask(workers, "1")[0]) == (1, 0)


def test_a_worker_that_stays_alone_computes_with_all_cores_and_says_why_it_is(crew, two_cores, capfd):
    workers = crew(THREAD, handler=LARGE, copies=False)
    assert not workers.shared
    assert (
        "the workers cannot share one loaded model: loading has left threads: 1\n" in capfd.readouterr().err
    )
    assert numbers(ask(workers, "1")[0])[0] > 1


def test_a_worker_that_stays_alone_keeps_to_what_its_handler_says(crew, two_cores):
    workers = crew(f"torch.set_num_threads(1); {THREAD}", handler=LARGE, copies=False)
    assert not workers.shared
    assert numbers(ask(workers, "1")[0]) == (1, 0)


def test_how_many_threads_are_used_is_the_environment_s_to_say(crew, two_cores, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    workers = crew(handler=LARGE)
    assert not workers.shared, "as many threads as were asked for loaded it"


def test_the_thread_of_progress_bars_is_no_reason_not_to_share(crew):
    workers = crew("import tqdm; list(tqdm.tqdm([1, 2], mininterval=0))")
    ask(workers, '"meet"', '"meet"')
    assert workers.shared
