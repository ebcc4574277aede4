"""What a container printed becomes its cause and one thing to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.checking import diagnosis
from deploy.checking.layout import Layout

LAYOUT = Layout(Path("/run/ml"), Path("/run/runtime"), Path("/run/home"))
FRAME = '  File "/run/ml/model/code/{}", line {}, in load'


def read(*lines: str, otherwise: str = "") -> diagnosis.Diagnosis:
    return diagnosis.read(["slipway: listening", *lines], LAYOUT, otherwise)


def raised(error: str, file: str = "handler.py", line: int = 3) -> diagnosis.Diagnosis:
    return read("Traceback (most recent call last):", FRAME.format(file, line), error)


@pytest.mark.parametrize(
    ("error", "value", "fix"),
    [
        (
            "PermissionError: [Errno 13] Permission denied: '/run/ml/model/a'",
            "writes to /opt/ml/model/a",
            "gettem",
        ),
        (
            "OSError: [Errno 30] Read-only file system: '/run/ml/model/code/b'",
            "writes to inference/b",
            "gettemp",
        ),
        (
            "PermissionError: [Errno 13] Permission denied: '/var/a'",
            "opens /var/a, which the cont",
            "not run as root",
        ),
        (
            "socket.gaierror: [Errno -3] Temporary failure in name resolution",
            "reaches for the netw",
            "build/model",
        ),
        ("OSError: [Errno 101] Network is unreachable", "reaches for the network", "network = true"),
        ("ModuleNotFoundError: No module named 'pytest.nothing'", "imports pytest.nothing", "write pytest=="),
        (
            "ModuleNotFoundError: No module named 'features'",
            "imports features",
            "put the module beside handler.py",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: 'a.csv'",
            "opens 'a.csv' in the work",
            "model_dir",
        ),
        (
            "FileNotFoundError: [Errno 2] No such file or directory: '/data/a'",
            "not in the container",
            "model_dir",
        ),
        (
            "AttributeError: Can't get attribute 'Net' on <module '__main__' from 'x'>",
            "the model was pickled where Net was defined in the training script",
            "define Net in a module beside handler.py",
        ),
        (
            "numpy.exceptions.AxisError: axis 2 is out of bounds",
            "numpy.exceptions.AxisError: axis 2",
            "mend what",
        ),
        ("RuntimeError: Found no NVIDIA driver on your system.", "needs a GPU", "run = false"),
        ("MemoryError", "runs out of memory", "larger instance type"),
    ],
)
def test_an_exception_is_said_as_what_is_to_change(error, value, fix):
    found = raised(error).finding
    assert found.severity == "error"
    assert found.place == "inference/handler.py:3"
    assert value in found.value
    assert fix in found.fix


def test_the_place_is_the_handler_s_own_last_line():
    library = '  File "/usr/lib/python3.11/json/decoder.py", line 355, in raw_decode'
    lines = [FRAME.format("handler.py", 3), FRAME.format("parts/reading.py", 9), library, "ValueError: no"]
    found = read("Traceback (most recent call last):", *lines)
    assert found.finding.place == "inference/parts/reading.py:9"
    assert found.lines[1] == '  File "inference/handler.py", line 3, in load'


def test_a_cause_is_read_before_what_came_of_it():
    chain = ["Traceback (most recent call last):", "socket.gaierror: [Errno -3] Temporary failure", ""]
    chain += ["During handling of the above exception, another exception occurred:", ""]
    chain += ["Traceback (most recent call last):", FRAME.format("handler.py", 3), "RuntimeError: no weights"]
    assert "reaches for the network" in read(*chain).finding.value


def test_without_a_traceback_the_runtime_s_own_words_count_or_what_else_is_known():
    told = read("slipway: error: code/samples.jsonl line 2: expected a number").finding
    assert (told.place, told.value) == (
        "inference/samples.jsonl:2",
        "code/samples.jsonl line 2: expected a number",
    )
    assert read(otherwise="it ended with status 9").finding.value == "it ended with status 9"


def test_a_process_that_ends_in_a_request_is_no_riddle():
    assert "ended in the middle of a request" in read("slipway: error: worker 7 ended; another").finding.value
