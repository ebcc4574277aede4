"""Requirements that another machine cannot install are errors, with their line."""

from __future__ import annotations

import pytest

from deploy.checking.lints import pinning


@pytest.mark.parametrize(
    ("line", "value", "fix"),
    [
        ("-e .", "installs a folder of this machine (.)", "release it to an index"),
        (".", "'.' is a path of this machine", "release it to an index"),
        ("./own-1.0.tar.gz", "is a path of this machine", "beside handler.py"),
        ("own-1.0-py3-none-any.whl", "is a path of this machine", "release it"),
        ("file:///home/me/own.whl", "is a path of this machine", "release it"),
        ("own @ file:///home/me/own.whl", "is a path of this machine", "release it"),
        ("git+https://github.com/me/own", "needs git, which the image has not", "release it"),
        ("own @ git+ssh://git@github.com/me/own@1.0", "needs git", "release it"),
        ("--extra-index-url https://example.com", "is installed in its place", "--index-url"),
        ("--find-links wheels", "what lies there is not where the image is built", "release it"),
        ("-r more.txt", "built with inference/requirements.txt alone", "write its lines"),
        ("numpy==1.26.4", "the image is built with numpy==", "write numpy=="),
        ("numpy<2", "the image is built with numpy==", "write numpy=="),
        ("what is this", "'what is this' is no requirement", "name==version"),
    ],
)
def test_what_no_image_can_be_built_with_is_an_error(subject, line, value, fix):
    (found,) = pinning.found(subject(f"# first\n{line}\n"))
    assert (found.severity, found.place) == ("error", "inference/requirements.txt:2")
    assert value in found.value
    assert fix in found.fix


@pytest.mark.parametrize(
    "line", ["numpy", "numpy==2.4.6", "torch>=2", "nothing-known==1.0", "x @ https://e.com/x.zip"]
)
def test_what_has_one_version_on_every_machine_is_none(subject, line):
    assert list(pinning.found(subject(f"{line}\n"))) == []


def test_what_has_no_version_and_no_pin_is_a_warning(subject):
    (found,) = pinning.found(subject("nothing-known>=1\n"))
    assert (found.severity, found.place) == ("warning", "inference/requirements.txt:1")
    assert "nothing-known==" in found.fix


def test_lines_for_other_systems_alone_count_for_nothing(subject):
    lines = 'pyobjc; sys_platform == "darwin"\n./here ; platform_machine == "arm64"\n'
    found = list(pinning.found(subject(lines)))
    assert [finding.place for finding in found] == ["inference/requirements.txt:2"]  # no requirement by name
    assert list(pinning.found(subject('nothing-known; sys_platform == "linux"\n')))
