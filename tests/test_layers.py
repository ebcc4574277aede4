"""Who may import whom, and how large a file may grow: the picture in the README, as a test."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("training", "inference", "deploy", "infra")

# A room, and which of our own modules its files may import.
MAY_IMPORT = {
    "training": {"training"},
    "inference": set(),
    "inference/serving": {"inference.serving"},
    "deploy": {"deploy"},
    "infra/local": {"infra.local"},
}
# Pure by design: these decide, and touch neither a cloud nor one another beyond what is named.
PURE = {
    "deploy/plan.py": set(),
    "deploy/config.py": {"deploy.denylist", "deploy.sections"},
    "deploy/sections/section.py": set(),
    "deploy/sections/clouds.py": {"deploy.labels", "deploy.sections.section"},
    "deploy/sections/endpoint.py": {"deploy.sections.section"},
    "deploy/sections/release.py": {"deploy.sections.section"},
    "deploy/sections/lacking.py": {"deploy.sections.clouds", "deploy.sections.endpoint"},
    "deploy/sections/serving.py": {"deploy.latency.parts", "deploy.sections.section"},
    "deploy/sections/jobs.py": {"deploy.training", "deploy.sections.section"},
    "deploy/labels.py": set(),
    "deploy/training/entries.py": {"deploy.denylist"},
    "deploy/denylist.py": set(),
    "deploy/latency/parts.py": set(),
    "deploy/latency/told.py": {"deploy.latency.parts"},
    "deploy/package/__init__.py": {"deploy.package"},
    "inference/serving/codecs/__init__.py": {"inference.serving"},
}
# The runtime's parts: each imports those before it alone.
RUNTIME = (
    *("errors", "log", "codecs", "cache_url", "settings", "counting", "predictor", "exchange", "http"),
    *("model", "handlers", "microbatching", "startup", "processes", "caching", "online", "jobs", "batch"),
    *("optimize", "lifecycle", "__main__"),
)
CLOUD_SDKS = {"boto3", "botocore", "sagemaker", "google", "moto"}
MAY_IMPORT_A_CLOUD_SDK = {"deploy/aws", "deploy/gcp", "infra/local"}


def sources() -> list[Path]:
    return [p for room in ROOMS for p in sorted((ROOT / room).rglob("*.py"))]


def named(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    parents = [p.relative_to(ROOT).as_posix() for p in path.parents if p.is_relative_to(ROOT)]
    return next((p for p in parents if p in MAY_IMPORT), path.relative_to(ROOT).parts[0])


def imports(tree: ast.AST) -> set[str]:
    """Every module named by an import; `from package import module` names the module, not the package."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            found |= {_named_by(node.module or "", alias.name) for alias in node.names}
    return found


def _named_by(module: str, name: str) -> str:
    place = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if place.with_suffix(".py").exists() or place.is_dir() else module


def ours(modules: set[str]) -> set[str]:
    return {m for m in modules if m.split(".")[0] in ROOMS}


def within(module: str, allowed: set[str]) -> bool:
    return any(
        module == room or module.startswith(f"{room}.") or room.startswith(f"{module}.") for room in allowed
    )


@pytest.mark.parametrize("path", sources(), ids=named)
def test_a_file_imports_only_its_own_room(path: Path) -> None:
    allowed = MAY_IMPORT.get(room_of(path), set())
    strangers = {m for m in ours(imports(ast.parse(path.read_text()))) if not within(m, allowed)}
    assert not strangers


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_import_nothing_that_acts(name: str) -> None:
    found = imports(ast.parse((ROOT / name).read_text()))
    assert {m for m in ours(found) if not within(m, PURE[name])} == set()
    assert not {m.split(".")[0] for m in found} & {"socket", "subprocess", "http", "urllib", "requests"}


@pytest.mark.parametrize("path", sources(), ids=named)
def test_cloud_sdks_are_imported_where_a_cloud_is_spoken_to(path: Path) -> None:
    if any(path.is_relative_to(ROOT / room) for room in MAY_IMPORT_A_CLOUD_SDK):
        return
    assert not {m.split(".")[0] for m in imports(ast.parse(path.read_text()))} & CLOUD_SDKS


def test_no_module_imports_itself_by_a_detour() -> None:
    modules = {named(p)[:-3].replace("/", ".").removesuffix(".__init__"): p for p in sources()}
    arrows = {
        name: imports(ast.parse(path.read_text())) & modules.keys() - {name} for name, path in modules.items()
    }

    def reachable(start: str) -> set[str]:
        seen: set[str] = set()
        ahead = set(arrows[start])
        while ahead:
            seen.add(module := ahead.pop())
            ahead |= arrows[module] - seen
        return seen

    assert [name for name in modules if name in reachable(name)] == []


def test_the_runtime_s_parts_import_those_before_them_alone() -> None:
    serving = ROOT / "inference/serving"
    upwards = set()
    for path in serving.rglob("*.py"):
        part = path.relative_to(serving).parts[0].removesuffix(".py")
        for module in ours(imports(ast.parse(path.read_text()))) - {"inference.serving"}:
            other = module.split(".")[2]
            if part != "__init__" and RUNTIME.index(other) > RUNTIME.index(part):
                upwards.add(f"{part} -> {other}")
    assert upwards == set()


def test_help_imports_no_sdk() -> None:
    script = (
        "import runpy, sys\n"
        # Packages of Google's leave names there before anything is imported, by a .pth file of theirs.
        "before = set(sys.modules)\n"
        "sys.argv = ['deploy', '--help']\n"
        "try: runpy.run_module('deploy', run_name='__main__')\n"
        "except SystemExit as end: assert end.code == 0\n"
        "sys.stderr.write(' '.join(sorted({m.split('.')[0] for m in sys.modules if m not in before})))\n"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert not set(loaded.stderr.split()) & {
        "boto3",
        "botocore",
        "sagemaker",
        "google",
        "torch",
        "pydantic",
        "rich",
    }


@pytest.mark.parametrize("path", sources(), ids=named)
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    functions = (
        n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    assert {f.name: n for f in functions if (n := (f.end_lineno or 0) - f.lineno + 1) > 60} == {}
