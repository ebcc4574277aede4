"""A stand-in is found where nothing is installed, and hides nothing that is."""

from __future__ import annotations

import importlib
import sys

import pytest

from inference.serving.handlers import standins


def test_a_standin_is_importable_with_its_parents(interpreter) -> None:
    interpreter()
    standins.offer("lost-server", {"lost.server.words": {"said": 3}, "lost.server.lists": {}})
    assert importlib.import_module("lost.server.words").said == 3
    # What is missing in the package's own part is the package's; beside it anything may be at home.
    assert standins.package_of("lost.server.numbers") == "lost-server"
    assert standins.package_of("lost.client") == ""


def test_an_installed_module_hides_the_standin(interpreter, tmp_path) -> None:
    interpreter()
    standins.offer("lost-server", {"found": {"said": "ours"}, "part.missing": {"said": "ours"}})
    (tmp_path / "found.py").write_text("said = 'theirs'\n")
    (tmp_path / "part").mkdir()  # a namespace package that another distribution has filled
    (tmp_path / "part/there.py").write_text("said = 'theirs'\n")
    sys.path.insert(0, str(tmp_path))
    assert importlib.import_module("found").said == "theirs"
    assert standins.package_of("found") == ""
    assert importlib.import_module("part.there").said == "theirs"
    assert importlib.import_module("part.missing").said == "ours"


def test_two_handlers_may_add_to_one_module(interpreter) -> None:
    interpreter()
    standins.offer("lost-server", {"lost.words": {"one": 1}})
    standins.offer("lost-server", {"lost.words": {"two": 2}})
    found = importlib.import_module("lost.words")
    assert (found.one, found.two) == (1, 2)


def test_a_name_that_the_standin_lacks_cannot_be_imported(interpreter) -> None:
    interpreter()
    standins.offer("lost-server", {"lost.words": {"one": 1}})
    with pytest.raises(ImportError, match="three"):
        exec("from lost.words import three")
