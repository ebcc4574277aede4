"""A pickle that would run code is refused, whatever it is called; weights by themselves are not."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import zipfile
import zlib

import numpy as np
import pytest

from deploy.checking.lints import pickles


class Bomb:
    def __reduce__(self):
        return os.system, ("true",)


class Harmless:
    """Of a class that nobody knows."""


def npy(values: object) -> bytes:
    file = io.BytesIO()
    np.save(file, np.array(values, dtype=object if isinstance(values, Bomb) else None), allow_pickle=True)
    return file.getvalue()


def packed(name: str, content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, content)
    return file.getvalue()


BOMB = pickle.dumps(Bomb())
FORMS = {
    "model.pkl": BOMB,
    "old.pkl": pickle.dumps(Bomb(), protocol=0),
    "weights.safetensors": BOMB,
    "model.joblib": zlib.compress(BOMB),
    "model.pkl.gz": gzip.compress(BOMB),
    "model.pkl.bz2": bz2.compress(BOMB),
    "model.pkl.xz": lzma.compress(BOMB),
    "array.npy": npy(Bomb()),
    "model.pt": packed("archive/data.pkl", BOMB),
    "arrays.npz": packed("one.npy", npy(Bomb())),
    "code/vocabulary.dat": BOMB,
}


@pytest.mark.parametrize("name", FORMS)
def test_code_in_a_pickle_is_found_in_every_form(subject, name):
    (found,) = pickles.found(subject(files={name: FORMS[name]}))
    assert found.severity == "error"
    assert found.place == (
        f"inference/{name.removeprefix('code/')}" if "/" in name else f"build/model/{name}"
    )
    assert "calls posix.system when it is loaded" in found.value


CALM = {
    "numbers.pkl": pickle.dumps([1, 2.5, "a"]),
    "array.npy": npy([1.0, 2.0]),
    "array.bin": npy([1.0, 2.0]),
    "text.bin": b"x\x9cnot compressed",
    "empty.pkl": b"",
    "weights.bin": bytes(range(200)),
    "script.pt": packed("script/data.pkl", b"\x80\x02c__torch__.Net\nNet\n."),
    "archive.zip": packed("words.txt", b"os.system"),
}


@pytest.mark.parametrize("name", CALM)
def test_what_calls_nothing_is_none(subject, name):
    assert list(pickles.found(subject(files={name: CALM[name]}))) == []


def test_what_of_a_damaged_file_would_still_run_is_found(subject):
    """A pickle runs as it is read: its end may be missing."""
    damaged = {
        "cut.pkl": BOMB[:-1],
        "cut.joblib": zlib.compress(BOMB)[:-4],
        "cut.pkl.gz": gzip.compress(BOMB)[:-8],
    }
    found = list(pickles.found(subject(files=damaged)))
    assert [finding.severity for finding in found] == ["error"] * 3


def test_a_class_that_is_not_known_to_be_harmless_is_a_warning(subject):
    (found,) = pickles.found(subject(files={"model.pkl": pickle.dumps(Harmless())}))
    assert (found.severity, found.fix.split(",")[0]) == ("warning", "save weights as safetensors")


def test_a_file_that_the_project_vouches_for_is_none(subject):
    trusted = '[check]\ntrusted_pickles = ["model.pkl"]\n'
    found = list(pickles.found(subject(files={"model.pkl": BOMB, "other.pkl": BOMB}, settings=trusted)))
    assert [finding.place for finding in found] == ["build/model/other.pkl"]


def estimator(version: str) -> bytes:
    """A pickle that says the version of scikit-learn as an estimator's does."""
    harmless = Harmless()
    harmless.__dict__.update({"_sklearn_version": version})
    return pickle.dumps(harmless)


@pytest.mark.parametrize(
    ("requirements", "saved", "value"),
    [
        ("scikit-learn==1.9.1\n", "1.9.0", ""),
        (
            "scikit-learn==1.9.1\n",
            "1.2.2",
            "was saved by scikit-learn 1.2.2, and inference/requirements.txt installs",
        ),
        ("scikit-learn\n", "1.2.2", "installs 1.9.1"),
        ("", "1.9.1", "was saved by scikit-learn 1.9.1, which inference/requirements.txt lacks"),
    ],
)
def test_the_scikit_learn_that_saved_a_model_is_to_be_the_one_that_loads_it(
    subject, requirements, saved, value
):
    found = list(pickles.found(subject(requirements, {"model.joblib": estimator(saved)})))
    errors = [finding.value for finding in found if finding.severity == "error"]
    assert len(errors) == bool(value)
    assert all(value in one for one in errors)


def test_a_version_is_seen_in_a_compressed_model_too(subject):
    found = pickles.found(subject("", {"model.joblib": zlib.compress(estimator("1.2.2"))}))
    assert any("saved by scikit-learn 1.2.2" in finding.value for finding in found)
