"""Each line of "SageMaker training container" in the contracts that the local clouds reproduce."""

import json
import sys
from typing import Any

TELLS = """
    import json, os, pathlib, sys
    base = pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"])
    told = {
        "environment": dict(os.environ),
        "argv": sys.argv[1:],
        "data": {str(p.relative_to(base)): p.read_text() for p in base.glob("input/data/train/**/*.*")},
        "config": {p.name: json.loads(p.read_text()) for p in base.glob("input/config/*")},
    }
    (base / "model/told.json").write_text(json.dumps(told))
"""


def told(trainer: Any, *channels: Any, **given: Any) -> dict[str, Any]:
    name = trainer.start(TELLS, *channels, **given)
    trainer.ended(name)
    found: dict[str, Any] = json.loads(trainer.archive(name)["told.json"])
    return found


def test_a_channel_is_a_folder_with_its_objects_nested_as_their_keys(trainer: Any) -> None:
    """`/opt/ml/input/data/<channel>`."""
    for key in ("data/a.csv", "data/deep/er/b.csv"):
        trainer.put(f"nested/{key}", key)
    trainer.put("nested/data/", "")  # a folder that a console made
    found = told(trainer, trainer.channel("train", f"s3://{trainer.cloud.bucket}/nested/data/"))
    assert found["data"] == {
        "input/data/train/a.csv": "data/a.csv",
        "input/data/train/deep/er/b.csv": "data/deep/er/b.csv",
    }


def test_a_prefix_without_its_slash_and_a_whole_key_give_the_same_paths(trainer: Any) -> None:
    trainer.put("slash/data/a.csv", "a")
    for url in ("slash/data", "slash/data/a.csv"):
        found = told(trainer, trainer.channel("train", f"s3://{trainer.cloud.bucket}/{url}"))
        assert found["data"] == {"input/data/train/a.csv": "a"}


def test_a_manifest_names_the_objects_of_a_channel(trainer: Any) -> None:
    """Source: API_S3DataSource."""
    for key in ("a.csv", "sub/b.csv", "not-this.csv"):
        trainer.put(f"listed/{key}", key)
    listed = [{"prefix": f"s3://{trainer.cloud.bucket}/listed/"}, "a.csv", "sub/b.csv"]
    url = trainer.put("listed.manifest", json.dumps(listed))
    found = told(trainer, trainer.channel("train", url, "ManifestFile", InputMode="FastFile"))
    assert found["data"] == {"input/data/train/a.csv": "a.csv", "input/data/train/sub/b.csv": "sub/b.csv"}


def test_the_configuration_lies_in_files(trainer: Any) -> None:
    """`/opt/ml/input/config/hyperparameters.json`, and its neighbours."""
    given = {"epochs": "3", "name": '"a b"', "folder": '"/opt/ml/input/data/train"'}
    found = told(trainer, HyperParameters=given)["config"]
    assert found["hyperparameters.json"].pop("folder").startswith(f'"{trainer.cloud.home}')
    assert found["hyperparameters.json"] == {"epochs": "3", "name": '"a b"'}
    assert found["resourceconfig.json"]["hosts"] == ["algo-1"]
    assert found["resourceconfig.json"]["current_instance_type"] == "ml.m7i.large"
    assert found["inputdataconfig.json"]["code"]["TrainingInputMode"] == "File"


def test_the_model_and_the_output_are_uploaded_at_the_end(trainer: Any) -> None:
    """`/opt/ml/model` (uploaded as model.tar.gz at the end); output/data as output.tar.gz."""
    name = trainer.start("""
        import os, pathlib
        pathlib.Path(os.environ["SM_MODEL_DIR"], "code").mkdir()
        pathlib.Path(os.environ["SM_MODEL_DIR"], "code", "handler.py").write_text("pass")
        pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "plot.txt").write_text("a plot")
    """)
    assert trainer.ended(name)["ModelArtifacts"] == {
        "S3ModelArtifacts": f"s3://{trainer.cloud.bucket}/made/{name}/output/model.tar.gz"
    }
    assert trainer.archive(name) == {"code/handler.py": b"pass"}
    assert trainer.archive(name, "output.tar.gz") == {"plot.txt": b"a plot"}


def test_script_mode_tells_in_variables_and_arguments(trainer: Any) -> None:
    """Script mode environment: SM_MODEL_DIR … hyperparameters as `--name value`."""
    given = {"epochs": "3", "rate": "1e-3", "name": '"a b"', "fast": "true", "layers": "[1, 2]"}
    trainer.put("script-mode/a.csv", "a")
    channel = trainer.channel("train", f"s3://{trainer.cloud.bucket}/script-mode/")
    found = told(trainer, channel, HyperParameters=given, Environment={"EXTRA": "yes"})
    seen, base = found["environment"], found["environment"]["SAGEMAKER_BASE_DIR"]
    words = ["--epochs", "3", "--rate", "1e-3", "--name", "a b", "--fast", "true", "--layers", "[1, 2]"]
    assert sorted(found["argv"]) == sorted(words)
    assert found["argv"][found["argv"].index("--name") + 1] == "a b"
    assert json.loads(seen["SM_HPS"]) == {
        "epochs": 3,
        "rate": 0.001,
        "name": "a b",
        "fast": True,
        "layers": [1, 2],
    }
    assert seen["SM_MODEL_DIR"] == f"{base}/model"
    assert seen["SM_OUTPUT_DATA_DIR"] == f"{base}/output/data"
    assert seen["SM_CHANNEL_TRAIN"] == f"{base}/input/data/train"
    assert "SM_CHANNEL_CODE" not in seen
    assert (seen["SM_CURRENT_HOST"], json.loads(seen["SM_HOSTS"])) == ("algo-1", ["algo-1"])
    assert int(seen["SM_NUM_CPUS"]) >= 1
    assert int(seen["SM_NUM_GPUS"]) >= 0
    assert seen["EXTRA"] == "yes"


def test_the_literal_path_is_rewritten_where_a_job_hands_it_over(trainer: Any) -> None:
    """The file systems of a container are at fixed paths; a local process has other paths."""
    name = trainer.cloud.name("job")
    script = """
        import json, os, pathlib, sys
        pathlib.Path("/opt/ml/model/told.json").write_text(json.dumps([sys.argv[1], os.environ["PLACE"]]))
    """
    entry = {"ContainerEntrypoint": ["python3"]}
    arguments = {"ContainerArguments": ["/opt/ml/input/data/code/train.py", "--out=/opt/ml/model"]}
    request = trainer.request(
        name,
        trainer.code(name, script),
        algorithm={**entry, **arguments},
        Environment={"PLACE": "file:///opt/ml/x"},
    )
    trainer.cloud.sagemaker.create_training_job(**request)
    trainer.ended(name)
    argument, place = json.loads(trainer.archive(name)["told.json"])
    private = argument.removeprefix("--out=").removesuffix("/model")
    assert private.startswith(str(trainer.cloud.home))
    assert place == f"file://{private}/x"


def test_a_container_has_the_jobs_name_and_nothing_of_the_local_clouds_own(trainer: Any) -> None:
    seen = told(trainer, Environment={"PATH": "/usr/bin:/bin", "HOME": "/root"})["environment"]
    assert seen["TRAINING_JOB_ARN"].endswith(f":training-job/{seen['TRAINING_JOB_NAME']}")
    assert not [name for name in seen if name.startswith("SLIPWAY_")]
    assert seen["HOME"].startswith(str(trainer.cloud.home))
    assert seen["PATH"].split(":")[1:] == ["/usr/bin", "/bin"]
    assert seen["VIRTUAL_ENV"] != sys.prefix
