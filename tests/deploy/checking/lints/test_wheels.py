"""A wheel for another machine is seen by its name, wherever it is named."""

from __future__ import annotations

import sys

import pytest

from deploy.checking.lints import wheels

THIS = f"cp{sys.version_info.major}{sys.version_info.minor}"
ADDRESS = "own @ https://example.com/"


@pytest.mark.parametrize(
    "tag",
    [
        "cp311-cp311-macosx_11_0_arm64",
        f"{THIS}-{THIS}-win_amd64",
        f"{THIS}-{THIS}-manylinux_2_28_aarch64",
        "cp38-cp38-any",
    ],
)
def test_a_wheel_for_another_system_processor_or_python_is_an_error(subject, tag):
    (found,) = wheels.found(subject(f"{ADDRESS}own-1.0-{tag}.whl\n"))
    assert (found.severity, found.place) == ("error", "inference/requirements.txt:1")
    assert f"own-1.0-{tag}.whl is for {tag.split('-')[0]} on {tag.split('-')[2]}, and not for" in found.value


@pytest.mark.parametrize(
    "tag", ["py3-none-any", f"{THIS}-{THIS}-manylinux_2_28_x86_64", "cp38-abi3-manylinux2014_x86_64"]
)
def test_a_wheel_that_the_machine_takes_is_none(subject, tag):
    assert list(wheels.found(subject(f"{ADDRESS}own-1.0-{tag}.whl#sha256=00\n"))) == []


def test_on_graviton_and_on_google_s_arm_it_is_the_other_way_round(subject):
    for settings in ("ml.m7g.large",), ("ml.c6gd.xlarge",):
        taken = subject(f"{ADDRESS}own-1.0-{THIS}-{THIS}-manylinux_2_28_aarch64.whl\n")
        config = taken.config
        object.__setattr__(config.aws, "instance_type", settings[0])
        assert list(wheels.found(taken)) == []
        refused = subject(f"{ADDRESS}own-1.0-{THIS}-{THIS}-manylinux_2_28_x86_64.whl\n")
        object.__setattr__(refused.config.aws, "instance_type", settings[0])
        assert settings[0] in next(wheels.found(refused)).value


def test_a_wheel_beside_the_handler_is_looked_at_too(subject):
    found = list(wheels.found(subject(files={"code/own-1.0-cp38-cp38-macosx_11_0_arm64.whl": b""})))
    assert [finding.place for finding in found] == ["inference/own-1.0-cp38-cp38-macosx_11_0_arm64.whl"]
