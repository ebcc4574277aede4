"""A pickle says what it was made with by its bytes alone, which are never loaded."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path
from types import ModuleType

import pytest

from deploy.importing import pickles


def pickled(module: str, protocol: int, **state: object) -> bytes:
    """What pickle writes for an object of a class in that module, which need not be installed."""
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(1, len(parts) + 1)]
    made = type("Model", (), {"__module__": module})
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            patch.setitem(sys.modules, name, ModuleType(name))
        vars(sys.modules[module])["Model"] = made
        model = made()
        vars(model).update(state)
        return pickle.dumps(model, protocol)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        ("sklearn.linear_model._base", (pickles.SKLEARN,)),
        ("xgboost.core", (pickles.XGBOOST,)),
        # It takes arrays, as scikit-learn's do.
        ("xgboost.sklearn", (pickles.SKLEARN,)),
        ("mine.own", (pickles.SKLEARN, pickles.XGBOOST)),
        ("sklearning", (pickles.SKLEARN, pickles.XGBOOST)),
    ],
)
def test_the_modules_in_it_tell_the_kind(tmp_path: Path, protocol, module, kinds):
    (tmp_path / "model.pkl").write_bytes(pickled(module, protocol))
    assert pickles.looked_at(tmp_path / "model.pkl").kinds == kinds


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("before", [0, 1024 * 1024 - 30, 1024 * 1024 - 40])
def test_scikit_learns_version_is_read_wherever_it_lies(tmp_path: Path, protocol, before):
    padding = b"x" * before
    (tmp_path / "model.pkl").write_bytes(
        padding + pickled("sklearn.svm", protocol, coef=[1], _sklearn_version="1.5.2")
    )
    assert pickles.looked_at(tmp_path / "model.pkl").sklearn == "1.5.2"


def test_nothing_in_it_is_run(tmp_path: Path):
    class Mean:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (tmp_path / "model.pkl").write_bytes(pickle.dumps(Mean()))
    pickles.looked_at(tmp_path / "model.pkl")
    assert not (tmp_path / "ran").exists()
