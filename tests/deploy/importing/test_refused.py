"""What is not imported, what is said of it, and that nothing of it is left."""

from __future__ import annotations

import io
import signal
import tarfile
import zipfile

import pytest

from deploy.importing import laying, recognising, samples


@pytest.fixture
def refused(run_import, tmp_path, capsys):
    """Runs the verb, which fails and makes nothing; what it said."""

    def run(source, *options):
        before = sorted(tmp_path.rglob("*"))
        assert run_import(source, *options) == 1
        assert sorted(tmp_path.rglob("*")) == before
        return capsys.readouterr().err

    return run


def test_a_link(kind, refused):
    place = kind("a Predictor of Vertex AI")
    (place / "passwords").symlink_to("/etc/passwd")
    assert f"{place}/passwords: is a link; expected files and folders" in refused(place)


def test_a_linked_folder(kind, refused):
    place = kind("a Predictor of Vertex AI")
    (place / "more").symlink_to("/etc")
    assert "more: is a link" in refused(place)


@pytest.mark.parametrize("name", ["../out.py", "/tmp/out.py"])
def test_a_tarball_that_leads_elsewhere(refused, tmp_path, name):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo(name)
        tar.addfile(member, io.BytesIO())
    assert f"model.tar.gz: '{name}' " in refused(tmp_path / "model.tar.gz")


def test_a_tarball_with_a_link(refused, tmp_path):
    with tarfile.open(tmp_path / "model.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("inference.py")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(member)
    assert "'inference.py' is a link" in refused(tmp_path / "model.tar.gz")


def test_a_mar_that_leads_elsewhere(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "m.mar", "w") as archive:
        archive.writestr("../out.py", "")
    assert "m.mar: '../out.py' leads out of the archive" in refused(tmp_path / "m.mar")


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"\x1f\x8b\x08"])
def test_a_damaged_archive(refused, tmp_path, content):
    (tmp_path / "m.mar").write_bytes(content)
    assert "m.mar: is damaged" in refused(tmp_path / "m.mar")


def test_a_folder_that_is_taken(kind, refused, tmp_path):
    (tmp_path / "project").mkdir()
    (tmp_path / "project/mine").write_text("mine")
    assert f"TO={tmp_path}/project: is there and not empty; name" in refused(kind("a model.tar.gz"))
    assert (tmp_path / "project/mine").read_text() == "mine"


def test_an_empty_folder_is_free(kind, run_import, tmp_path):
    (tmp_path / "project").mkdir()
    assert run_import(kind("a model.tar.gz")) == 0


def test_a_folder_within_the_source(kind, run_import, capsys):
    place = kind("a Predictor of Vertex AI")
    assert run_import(place, to=place / "project") == 1
    assert "lies in FROM=" in capsys.readouterr().err
    assert run_import(place, to=place.parent) == 1


@pytest.mark.parametrize(
    ("other", "text", "both"),
    [
        ("inference.py", "def model_fn(model_dir): ...\n", "inference.py line 1: SageMaker's functions"),
        ("handler.py", "class EndpointHandler: ...\n", "handler.py line 1: a Hugging Face EndpointHandler"),
    ],
)
def test_two_shapes_are_both_named(kind, refused, other, text, both):
    place = kind("a Predictor of Vertex AI")
    (place / other).write_text(text)
    told = refused(place)
    assert both in told
    assert "predictor.py line 7: a Vertex AI Predictor (Multiplier)" in told
    assert "HANDLER=predictor.py:Multiplier" in told


def test_two_models_without_code_are_both_named(refused, kind):
    place = kind("a pipeline")
    (place / "model.bst").write_bytes(b"binf")
    told = refused(place)
    assert "config.json: a Hugging Face pipeline; model.bst: an XGBoost model" in told
    assert "HANDLER=config.json or HANDLER=model.bst" in told


def test_a_pickle_that_does_not_show_what_it_is(kind, refused):
    told = refused(kind("a packaged model"))
    assert "HANDLER=model.pkl:sklearn or HANDLER=model.pkl:xgboost" in told


def test_a_handler_that_is_not_there(kind, refused):
    told = refused(kind("a Predictor of Vertex AI"), "--handler", "gone.py")
    assert told.startswith("error: HANDLER: 'gone.py': predictor.py line 7: a Vertex AI Predictor")


def test_a_broken_entry_file(kind, refused):
    place = kind("an EndpointHandler")
    (place / "handler.py").write_text("def (:\n")
    assert "handler.py: syntax error in line 1" in refused(place)


def test_nothing_that_is_served(refused, tmp_path):
    (tmp_path / "from").mkdir()
    assert f"FROM={tmp_path}/from: holds no files" in refused(tmp_path / "from")
    (tmp_path / "from/readme.md").write_text("hello")
    assert "nothing that can be served is recognised; expected a SageMaker" in refused(tmp_path / "from")


def test_a_model_that_torch_pickled_names_what_it_needs(refused, tmp_path):
    with zipfile.ZipFile(tmp_path / "model.pt", "w") as archive:
        archive.writestr("model/data.pkl", b"")
    assert "model.pt is no TorchScript" in refused(tmp_path / "model.pt")


def test_a_source_that_is_not_there(refused, tmp_path):
    assert f"FROM={tmp_path}/gone: is not there" in refused(tmp_path / "gone")


def test_a_folder_with_the_runtimes_name(kind, refused):
    place = kind("a Predictor of Vertex AI")
    (place / "serving").mkdir()
    (place / "serving/steps.py").write_text("")
    assert "serving/: in inference/ this name is the runtime's own" in refused(place)


@pytest.mark.parametrize(
    ("module", "stage"),
    [
        (recognising, "recognised"),
        (samples, "found"),
        (laying, "lay"),
        (recognising, "confirmed"),
        (laying, "finish"),
    ],
)
def test_ctrl_c_leaves_nothing(kind, run_import, tmp_path, monkeypatch, capsys, module, stage):
    source = kind("a model.tar.gz")
    before = sorted(tmp_path.rglob("*"))
    real = getattr(module, stage)

    def stopped(*given):
        if stage != "finish":
            real(*given)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(module, stage, stopped)
    assert run_import(source, to=tmp_path / "a/b/project") == 130
    assert sorted(tmp_path.rglob("*")) == before
    assert "stopped: nothing is half-changed" in capsys.readouterr().err


def test_from_is_asked_for():
    from deploy.__main__ import main

    with pytest.raises(SystemExit, match="2"):
        main(["import"])
