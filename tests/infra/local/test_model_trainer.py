"""The SageMaker SDK v3's ModelTrainer, unmodified, against the local cloud."""

import io
import json
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SCRIPT = """
import argparse, json, os, pathlib, slipwaysdktest
parser = argparse.ArgumentParser()
parser.add_argument("--factor", type=float)
parser.add_argument("--words", type=json.loads)
options = parser.parse_args()
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "rows.csv").read_text()
assert rows == pathlib.Path("/opt/ml/input/data/train/rows.csv").read_text()
print(f"loss=0.5 with {slipwaysdktest.version}")
model = {"factor": options.factor, "words": options.words, "rows": rows}
model["hps"] = json.loads(os.environ["SM_HPS"])
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(model))
"""


def write_wheel(folder: Path) -> str:
    """Writes a package that is nowhere else; the name of its file."""
    name, info = "slipwaysdktest-1.0-py3-none-any.whl", "slipwaysdktest-1.0.dist-info"
    with zipfile.ZipFile(folder / name, "w") as file:
        file.writestr("slipwaysdktest.py", "version = '1.0'\n")
        file.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: slipwaysdktest\nVersion: 1.0\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return name


@pytest.mark.timeout(1800)  # the environment's own building included
def test_a_script_with_requirements_data_and_hyperparameters_is_trained_and_its_log_followed(
    run_sdk: Callable[..., Any], local_cloud: Any, tmp_path: Path
) -> None:
    source, data = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    data.mkdir()
    (source / "train.py").write_text(SCRIPT)
    (source / "requirements.txt").write_text(f"--no-index\n./{write_wheel(source)}\n")
    (data / "rows.csv").write_text("1,2\n")
    told = run_sdk("trainer.py", str(source), str(data))
    assert told["status"] == "Completed"
    assert told["away"] == []
    assert any("loss=0.5 with 1.0" in line for line in told["log"])
    bucket, _, key = told["model"].removeprefix("s3://").partition("/")
    body = local_cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        model = json.load(tar.extractfile("model.json"))  # type: ignore[arg-type] # it is a file
    assert model == {
        "factor": 2.5,
        "words": ["a b", "c"],
        "rows": "1,2\n",
        "hps": {"factor": 2.5, "words": ["a b", "c"]},
    }
    failed = told["failed"]
    assert failed["status"] == "Failed"
    assert failed["reason"].startswith("AlgorithmError: ")
    assert failed["reason"].endswith(", exit code: 3")
