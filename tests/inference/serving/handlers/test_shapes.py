"""Which handler a folder holds: told without running it, and never guessed."""

import zipfile

import pytest

from inference.serving.errors import StartError
from inference.serving.handlers import shapes
from inference.serving.handlers.readings import Shape

SLIPWAY = "class Handler:\n    def load(self, d): ...\n    def predict(self, x): ...\n"
SAGEMAKER = "raise SystemExit('never run')\ndef model_fn(model_dir): ...\n"
VERTEX = "from google.cloud.aiplatform.prediction.predictor import Predictor\nclass Mine(Predictor): ...\n"
DOTTED = "from google.cloud import aiplatform as a\nclass P(a.prediction.predictor.Predictor): ...\n"
OWN_HANDLER = "from google.cloud.aiplatform.prediction.handler import Handler\nclass H(Handler): ...\n"
TORCHSERVE = "from ts.torch_handler.base_handler import BaseHandler\nclass Mine(BaseHandler): ...\n"
PLAIN = "class Service:\n    def initialize(self, context): ...\n    def handle(self, data, context): ...\n"
HUGGING = "class EndpointHandler:\n    def __init__(self, path=''): ...\n"


@pytest.fixture
def model_dir(tmp_path):
    """Lays files out below a model's folder and returns it."""

    def lay(**files):
        for name, text in files.items():
            path = tmp_path / name.replace("__", "/").replace("_py", ".py").replace("_json", ".json")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    return lay


@pytest.mark.parametrize(
    ("file", "text", "shape", "name", "line"),
    [
        ("handler_py", SLIPWAY, Shape.SLIPWAY, "Handler", 1),
        ("handler_py", "import x\nfrom mine import Handler\n", Shape.SLIPWAY, "Handler", 2),
        ("handler_py", "try:\n    pass\nfinally:\n    Handler = dict\n", Shape.SLIPWAY, "Handler", 4),
        ("handler_py", "from mine import *\n", Shape.SLIPWAY, "Handler", 1),
        ("inference_py", SAGEMAKER, Shape.SAGEMAKER, "", 2),
        ("inference_py", "from code.steps import predict_fn, model_fn\n", Shape.SAGEMAKER, "", 1),
        ("inference_py", "def output_fn(p, a): ...\n", Shape.SAGEMAKER, "", 1),
        ("inference_py", "from steps import *\n", Shape.SAGEMAKER, "", 1),
        ("serve_py", SAGEMAKER, Shape.SAGEMAKER, "", 2),
        ("predictor_py", VERTEX, Shape.VERTEX, "Mine", 2),
        ("p_py", DOTTED, Shape.VERTEX, "P", 2),
        ("p_py", f"{VERTEX}class Last(Mine): ...\n", Shape.VERTEX, "Last", 3),
        ("h_py", OWN_HANDLER, Shape.VERTEX_HANDLER, "H", 2),
        ("handler_py", OWN_HANDLER, Shape.VERTEX_HANDLER, "H", 2),
        ("mine_py", TORCHSERVE, Shape.TORCHSERVE, "Mine", 2),
        ("handler_py", TORCHSERVE.replace("Mine", "Handler"), Shape.TORCHSERVE, "Handler", 2),
        ("handler_py", PLAIN.replace("Service", "Handler"), Shape.TORCHSERVE, "Handler", 1),
        ("service_py", PLAIN, Shape.TORCHSERVE, "Service", 1),
        ("service_py", "def handle(data, context): ...\n", Shape.TORCHSERVE, "handle", 1),
        ("handler_py", HUGGING, Shape.ENDPOINT_HANDLER, "EndpointHandler", 1),
    ],
)  # fmt: skip
def test_a_file_is_known_by_its_text(model_dir, file, text, shape, name, line):
    found = shapes.entry(model_dir(**{f"code__{file}": text}), {})
    assert (found.shape, found.name, found.line) == (shape, name, line)
    assert found.file == file.replace("_py", ".py")


def test_files_beside_the_model_count_where_there_is_no_code_folder(model_dir):
    assert shapes.entry(model_dir(handler_py=HUGGING), {}).shape is Shape.ENDPOINT_HANDLER


def test_an_archive_of_torchserve_is_known_by_its_ending(tmp_path):
    (tmp_path / "model.mar").write_bytes(b"")
    found = shapes.entry(tmp_path, {})
    assert (found.shape, found.file) == (Shape.TORCHSERVE, "model.mar")


def test_a_model_alone_is_a_pipeline(tmp_path, model_dir):
    (tmp_path / "model.safetensors").write_bytes(b"")
    assert shapes.entry(model_dir(config_json="{}"), {}).shape is Shape.PIPELINE


def test_an_unpacked_archives_manifest_says_which_of_its_files_is_the_handler(model_dir):
    place = model_dir(code__handler_py=TORCHSERVE, code__other_py=PLAIN)
    (place / "code/MAR-INF").mkdir()
    found = shapes.entry(place, {})
    assert (found.shape, found.file) == (Shape.TORCHSERVE, "MAR-INF")


def torch_file(path, *members):
    with zipfile.ZipFile(path, "w") as archive:
        for name in members:
            archive.writestr(f"model/{name}", b"")


SCRIPT = ("data.pkl", "constants.pkl", "code/__torch__.py")


@pytest.mark.parametrize("name", ["model.pt", "weights.pth"])
def test_torchscript_alone_is_a_model_that_needs_no_code(tmp_path, name):
    torch_file(tmp_path / name, *SCRIPT)
    (tmp_path / "code").mkdir()
    found = shapes.entry(tmp_path, {})
    assert (found.shape, found.file) == (Shape.TORCHSCRIPT, name)


def test_code_beside_torchscript_is_what_serves(tmp_path, model_dir):
    torch_file(tmp_path / "model.pt", *SCRIPT)
    place = model_dir(code__inference_py=SAGEMAKER)
    assert shapes.entry(place, {}).shape is Shape.SAGEMAKER
    assert shapes.entry(place, {"SLIPWAY_HANDLER": "model.pt"}).shape is Shape.TORCHSCRIPT


def test_of_several_torchscript_files_model_pt_is_meant_and_without_it_none_is_guessed(tmp_path):
    for name in ("a.pt", "b.pth"):
        torch_file(tmp_path / name, *SCRIPT)
    with pytest.raises(StartError, match=r"a.pt: a TorchScript model; b.pth: a TorchScript model; say which"):
        shapes.entry(tmp_path, {})
    assert shapes.entry(tmp_path, {"SLIPWAY_HANDLER": "b.pth"}).file == "b.pth"
    torch_file(tmp_path / "model.pt", *SCRIPT)
    assert shapes.entry(tmp_path, {}).file == "model.pt"


@pytest.mark.parametrize(
    "members", [("data.pkl", "data/0"), ("data.pkl", "constants.pkl"), ("code/x.py",), None]
)
def test_what_torch_save_wrote_is_no_model_that_serves_itself(tmp_path, members):
    if members is None:
        (tmp_path / "model.pt").write_bytes(b"no zip")
    else:
        torch_file(tmp_path / "model.pt", *members)
    with pytest.raises(StartError, match=r"no handler is there, and model.pt is no TorchScript: torch.jit"):
        shapes.entry(tmp_path, {})


def test_a_pipeline_and_torchscript_are_two_readings(tmp_path, model_dir):
    torch_file(tmp_path / "model.pt", *SCRIPT)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(StartError, match=r'handler = "config.json" or "model.pt"'):
        shapes.entry(model_dir(config_json="{}"), {})


@pytest.mark.parametrize("sibling", [SAGEMAKER, PLAIN, "def handle(data, context): ...\n"])
def test_a_sibling_that_looks_like_a_handler_does_not_disturb_one_that_is(model_dir, sibling):
    place = model_dir(code__handler_py=SLIPWAY, code__steps_py=sibling)
    assert shapes.entry(place, {}).shape is Shape.SLIPWAY


def test_two_handlers_are_an_error_that_names_both_with_their_lines_and_how_to_choose(model_dir):
    place = model_dir(code__handler_py=SLIPWAY, code__inference_py=SAGEMAKER)
    with pytest.raises(StartError) as error:
        shapes.entry(place, {})
    assert str(error.value) == (
        "more than one handler could be meant: handler.py line 1: Slipway's Handler (Handler); "
        'inference.py line 2: SageMaker\'s functions; say which: [serving] handler = "handler.py:Handler" or '
        '"inference.py" in deploy.toml, or SLIPWAY_HANDLER in the environment'
    )


@pytest.mark.parametrize(
    ("stated", "shape"), [("handler.py:Handler", Shape.SLIPWAY), ("inference.py", Shape.SAGEMAKER)]
)
def test_the_setting_decides(model_dir, stated, shape):
    place = model_dir(code__handler_py=SLIPWAY, code__inference_py=SAGEMAKER)
    assert shapes.entry(place, {"SLIPWAY_HANDLER": stated}).shape is shape


@pytest.mark.parametrize("stated", ["handler.py:Other", "other.py", "Handler"])
def test_a_setting_that_names_nothing_there_says_what_is(model_dir, stated):
    with pytest.raises(StartError, match=r"handler.py line 1: Slipway's Handler \(Handler\); expected"):
        shapes.entry(model_dir(code__handler_py=SLIPWAY), {"SLIPWAY_HANDLER": stated})


def test_two_files_with_sagemakers_functions_are_told_apart_by_awss_own_setting(model_dir):
    place = model_dir(code__one_py=SAGEMAKER, code__two_py=SAGEMAKER)
    with pytest.raises(StartError, match="one.py line 2: .*two.py line 2: "):
        shapes.entry(place, {})
    assert shapes.entry(place, {"SAGEMAKER_PROGRAM": "two.py"}).file == "two.py"
    assert shapes.entry(place, {"SAGEMAKER_PROGRAM": "one"}).file == "one.py"


def test_a_program_that_is_not_there_is_an_error(model_dir):
    with pytest.raises(StartError, match="SAGEMAKER_PROGRAM: 'gone.py': there is no 'gone.py'"):
        shapes.entry(model_dir(code__inference_py=SAGEMAKER), {"SAGEMAKER_PROGRAM": "gone.py"})


def test_a_vertex_handler_goes_with_its_predictor(model_dir):
    handler = (
        "from google.cloud.aiplatform.prediction.handler import PredictionHandler as P\nclass H(P): ...\n"
    )
    place = model_dir(code__predictor_py=VERTEX, code__custom_py=handler)
    found = shapes.entry(place, {})
    assert (found.shape, found.name) == (Shape.VERTEX, "Mine")
    companion = shapes.companion(place, found, {})
    assert companion is not None
    assert (companion.file, companion.name) == ("custom.py", "H")


def test_an_entry_file_with_a_syntax_error_says_where_and_another_files_is_not_read(model_dir):
    with pytest.raises(StartError, match=r"inference.py: syntax error in line 2"):
        shapes.entry(model_dir(code__inference_py="x = 1\ndef ("), {})
    place = model_dir(code__inference_py=SAGEMAKER, code__notes_py="def (")
    assert shapes.entry(place, {}).shape is Shape.SAGEMAKER


def test_an_empty_folder_says_what_may_lie_there(tmp_path):
    with pytest.raises(StartError, match="no handler is there; expected handler.py with a class Handler"):
        shapes.entry(tmp_path, {})
