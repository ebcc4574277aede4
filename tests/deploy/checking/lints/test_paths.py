"""Absolute paths in the code that is shipped are told with their line; texts that say something are not."""

from __future__ import annotations

import pytest

from deploy.checking.lints import paths

CODE = '"""/home/me/here"""\n\nfrom pathlib import Path\n\nWEIGHTS = {!r}\nSAID = "see /home/me for more"\n'


@pytest.mark.parametrize(
    "path",
    ["/home/me/w.pt", "/Users/me/w.pt", "C:\\models\\w.pt", "/content/drive/w", "/root/.cache/w", "/mnt/w"],
)
def test_a_path_of_this_machine_is_an_error(subject, path):
    (found,) = paths.found(subject(files={"code/handler.py": CODE.format(path).encode()}))
    assert (found.severity, found.place) == ("error", "inference/handler.py:5")
    assert found.value == f"{path!r} is a path of this machine"


def test_sagemaker_s_own_path_is_a_warning_in_any_module(subject):
    (found,) = paths.found(subject(files={"code/own/reading.py": CODE.format("/opt/ml/model").encode()}))
    assert (found.severity, found.place) == ("warning", "inference/own/reading.py:5")


@pytest.mark.parametrize("path", ["weights.pt", "/predict", "/tmp/cache", "https://example.com/home/me"])
def test_another_text_is_none(subject, path):
    assert list(paths.found(subject(files={"code/handler.py": CODE.format(path).encode()}))) == []


def test_a_file_that_is_no_python_is_left_to_who_imports_it(subject):
    assert list(paths.found(subject(files={"code/broken.py": b"def\n"}))) == []
