import signal
import subprocess
import sys
from pathlib import Path
from typing import cast

import pytest

from deploy.batch import outputs
from deploy.batch.cloud import Cloud
from deploy.batch.places import BatchError

NO_CLOUD = cast(Cloud, None)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    (tmp_path / "a.out").write_bytes(b"old")
    with pytest.raises(RuntimeError), outputs.written(tmp_path / "a.out") as file:
        file.write(b"half")
        file.flush()
        assert (tmp_path / "a.out").read_bytes() == b"old"
        raise RuntimeError
    assert names(tmp_path) == ["a.out"]
    with outputs.written(tmp_path / "sub/b.out") as file:
        file.write(b"whole")
    assert (tmp_path / "sub/b.out").read_bytes() == b"whole"


def test_an_empty_small_file_is_none_and_takes_the_older_one_away(tmp_path):
    outputs.write(NO_CLOUD, tmp_path, "a.errors.jsonl", b"x\n")
    assert outputs.text(NO_CLOUD, tmp_path, "a.errors.jsonl") == b"x\n"
    outputs.write(NO_CLOUD, tmp_path, "a.errors.jsonl", b"")
    assert outputs.text(NO_CLOUD, tmp_path, "a.errors.jsonl") == b""
    assert names(tmp_path) == []


def test_an_output_is_one_command_s_at_a_time_and_a_killed_one_holds_nothing(tmp_path):
    script = (
        "import pathlib, sys, time\n"
        "from deploy.batch import outputs\n"
        "place = pathlib.Path(sys.argv[1])\n"
        "with outputs.held(place, ['sub/a']), outputs.written(place / 'sub/a.out') as file:\n"
        "    file.write(b'half'); file.flush(); print('held', flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], stdout=subprocess.PIPE) as other:
        assert other.stdout and other.stdout.readline() == b"held\n"
        taken = pytest.raises(BatchError, match="another command writes into it")
        with taken, outputs.held(tmp_path, ["sub/a"]):
            pass
        assert names(tmp_path / "sub") == [".a.out.slipway-part"]
        other.send_signal(signal.SIGKILL)
    with outputs.held(tmp_path, ["sub/a"]):
        assert names(tmp_path / "sub") == []


def test_what_another_command_writes_in_another_folder_of_output_is_let_alone(tmp_path):
    with outputs.held(tmp_path / "sub", ["b"]), outputs.written(tmp_path / "sub/b.out") as file:
        with outputs.held(tmp_path, ["a"]):
            pass
        file.write(b"whole")
    assert (tmp_path / "sub/b.out").read_bytes() == b"whole"
