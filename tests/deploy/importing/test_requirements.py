"""inference/requirements.txt has what the old image had, but for what cannot stand beside the kit."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.importing import requirements
from deploy.importing.layout import Layout, laid
from deploy.importing.runtime import Reading


@pytest.fixture
def written(tmp_path: Path):
    """What is written for code of these files, as a kind of handler."""

    def write(shape: str = "SAGEMAKER", **files: str) -> requirements.Requirements:
        code = {}
        for name, text in files.items():
            path = tmp_path / name.replace("_txt", ".txt").replace("_py", ".py")
            path.write_text(text)
            code[path.name] = path
        return requirements.written(Reading(shape, "x", "x", ""), Layout(code, {}))

    return write


def test_what_was_there_stays_line_by_line(written):
    text = "# ours\nrequests>=2 ; python_version > '3'\n\n--extra-index-url https://example.org\n-e ./mine\n"
    assert written(requirements_txt=text) == requirements.Requirements(text, ())


def test_what_the_code_imports_is_added_by_its_packages_name(written):
    code = "import sklearn.svm, torch\nfrom PIL import Image\nimport json, own\ndef f():\n    import yaml\n"
    found = written(inference_py=code, own_py="import pandas\n", requirements_txt="Scikit_Learn\n")
    assert found.text == "Scikit_Learn\npandas\npillow\npyyaml\ntorch\n"
    assert found.said == (
        "requirements.txt: pandas, pillow, pyyaml, torch added, which the old image brought",
    )


def test_what_slipway_brings_or_stands_in_for_is_not(written):
    code = (
        "import numpy\nfrom sagemaker_inference import encoder\nfrom ts.context import Context\n"
        "from google.cloud.aiplatform.prediction.predictor import Predictor\nfrom fastapi import Request\n"
        "from starlette.requests import Request\nfrom . import words\n"
    )
    assert written(inference_py=code) == requirements.Requirements("", ())


def test_what_the_code_can_do_without_is_not(written):
    assert written(x_py="try:\n    import torch\nexcept ImportError:\n    torch = None\n").text == ""


def test_a_package_that_is_not_known_is_said(written):
    assert written(x_py="import our_own, their_lib\n", requirements_txt="their-lib\n").said == (
        "requirements.txt: put in the packages of our_own, which the code imports",
    )


def test_a_pin_that_is_not_the_kits_is_taken_out_and_said(written):
    found = written(requirements_txt="numpy==1.0  # old\ntorch[x]==2.13.0\nORJSON == 1.0; os_name > ''\n")
    assert found.text == "numpy  # was ==1.0\ntorch[x]==2.13.0\nORJSON ; os_name > ''  # was ==1.0\n"
    (said,) = found.said
    assert said.startswith("requirements.txt: numpy==1.0  # old, ORJSON == 1.0; os_name > '': the pin is")


@pytest.mark.parametrize(
    ("shape", "needs"),
    [
        ("PIPELINE", "torch\ntransformers\n"),
        ("TORCHSCRIPT", "torch\n"),
        ("SKLEARN", "joblib\nscikit-learn\n"),
        ("XGBOOST", "joblib\nxgboost\n"),
        ("ENDPOINT_HANDLER", ""),
    ],
)
def test_a_model_without_code_needs_what_loads_it(written, shape, needs):
    assert written(shape).text == needs


def test_torchserves_base_handler_needs_torch(written):
    assert (
        written("TORCHSERVE", x_py="from ts.torch_handler.base_handler import BaseHandler\n").text
        == "torch\n"
    )
    assert written("TORCHSERVE", x_py="from ts.context import Context\n").text == ""


def test_the_manifest_of_a_mar_names_its_requirements(tmp_path):
    (tmp_path / "MANIFEST.json").write_text('{"model": {"requirementsFile": "needs.txt"}}')
    (tmp_path / "needs.txt").write_text("requests\n")
    files = {"MAR-INF/MANIFEST.json": tmp_path / "MANIFEST.json", "needs.txt": tmp_path / "needs.txt"}
    layout = laid(Reading("TORCHSERVE", "MAR-INF", "MAR-INF", ""), files)
    assert requirements.written(Reading("TORCHSERVE", "MAR-INF", "MAR-INF", ""), layout).text == "requests\n"


def test_the_version_that_saved_a_model_is_said(tmp_path):
    (tmp_path / "model.pkl").write_bytes(b"csklearn.svm\nSVC\n(V_sklearn_version\np1\nV1.2.3\n")
    reading = Reading("SKLEARN", "model.pkl", "model.pkl", "")
    said = requirements.written(reading, laid(reading, {"model.pkl": tmp_path / "model.pkl"})).said
    assert "the model was saved by scikit-learn 1.2.3: another version may read it otherwise" in said
