"""Which handler a model's folder holds, told without importing it. Where two are possible none is guessed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from inference.serving.errors import StartError, shown
from inference.serving.handlers import bare_models, starting
from inference.serving.handlers.readings import Reading, Shape, read

SETTING = "SLIPWAY_HANDLER"
_PROGRAM = "SAGEMAKER_PROGRAM"
_UNPACKED = "MAR-INF"
# A file of these names is an entry, so one that cannot be read is an error; another may be anything.
_ENTRIES = {"handler.py", "inference.py", "predictor.py"}
_EXPECTED = (
    "handler.py with a class Handler (load, predict) or EndpointHandler; inference.py with model_fn; a "
    "Predictor of Vertex AI; a TorchServe handler or .mar file; a Hugging Face model with its config.json; "
    "or a TorchScript model.pt"
)


def entry(model_dir: Path, env: Mapping[str, str]) -> Reading:
    """The entry of the handler in a model's folder, its file relative to the code's folder.

    SLIPWAY_HANDLER, "file.py:Name" or "file.py", decides where there are several. StartError says what is
    there and what is expected. A Vertex AI Handler beside a Predictor is found by `companion`.
    """
    if stated := env.get(SETTING, ""):
        return _stated(stated, [*_readings(model_dir, env), *bare_models.readings(model_dir)])
    found = candidates(model_dir, env)
    if len(found) == 1:
        return found[0]
    if not found:
        raise StartError(f"{starting.code_dir(model_dir)}: no handler is there{_why_not(model_dir)}")
    choices = " or ".join(dict.fromkeys(f'"{reading.choice}"' for reading in found))
    raise StartError(
        f"more than one handler could be meant: {'; '.join(map(str, found))}; say which: "
        f"[serving] handler = {choices} in deploy.toml, or {SETTING} in the environment"
    )


def choosing(env: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables of this environment by which a handler is chosen, as names and values."""
    return tuple((name, env[name]) for name in (SETTING, _PROGRAM) if env.get(name))


def candidates(model_dir: Path, env: Mapping[str, str]) -> list[Reading]:
    """All that could be the entry: one, if all is well. StartError for an entry file that is no Python."""
    found = _readings(model_dir, env)
    sure = [reading for reading in found if reading.sure]
    return _entries(sure or found) or _unread(model_dir, env) or bare_models.readings(model_dir)


def _why_not(model_dir: Path) -> str:
    files = ", ".join(bare_models.unscripted(model_dir))
    saved = f", and {files} is no TorchScript: torch.jit.save writes it, or a model_fn loads what this is"
    return f"{saved if files else ''}; expected {_EXPECTED}"


def companion(model_dir: Path, entry: Reading, env: Mapping[str, str]) -> Reading | None:
    """The Vertex AI Handler that goes with a Predictor, if there is one."""
    if entry.shape is not Shape.VERTEX:
        return None
    found = [each for each in _readings(model_dir, env) if each.shape is Shape.VERTEX_HANDLER]
    if len(found) > 1:
        raise StartError(f"more than one Handler for {entry}: {'; '.join(map(str, found))}; expected one")
    return found[0] if found else None


def _readings(model_dir: Path, env: Mapping[str, str]) -> list[Reading]:
    code = starting.code_dir(model_dir)
    program = _program(code, env)
    found = [each for path in sorted(code.glob("*.py")) for each in _of_file(path, program)]
    archives = sorted({*model_dir.glob("*.mar"), *code.glob("*.mar"), *code.glob(_UNPACKED)})
    if any(path.name == _UNPACKED for path in archives):
        # An unpacked archive's manifest says which of its files is the handler.
        found = [each for each in found if each.shape is not Shape.TORCHSERVE]
    return found + [Reading(Shape.TORCHSERVE, path.name, 0) for path in archives]


def _program(code: Path, env: Mapping[str, str]) -> str:
    stated = env.get(_PROGRAM, "")
    if not stated:
        return "inference.py"
    name = stated if stated.endswith(".py") else f"{stated}.py"
    if not (code / name).is_file():
        raise StartError(f"{_PROGRAM}: {shown(stated)}: there is no {shown(name)} in {code}")
    return name


def _of_file(path: Path, program: str) -> list[Reading]:
    try:
        return read(path.name, path.read_bytes(), program)
    except SyntaxError as error:
        if path.name in _ENTRIES | {program}:
            raise StartError(f"{path.name}: syntax error in line {error.lineno}: {error.msg}") from error
        return []
    except (ValueError, RecursionError):  # no text at all, or nested beyond reading: importing it says so
        return []


def _stated(stated: str, found: list[Reading]) -> Reading:
    file, _, name = stated.partition(":")
    matching = [each for each in found if each.file == file and name in ("", each.name)]
    if len(matching) == 1:
        return matching[0]
    there = "; ".join(map(str, matching or found)) or "no handler"
    expected = '"file.py:Name" of one of them' if found else _EXPECTED
    raise StartError(f"{SETTING}: {shown(stated)}: {there}; expected {expected}")


def _entries(found: list[Reading]) -> list[Reading]:
    """Without the Handler that goes with a Predictor."""
    if any(each.shape is Shape.VERTEX for each in found):
        return [each for each in found if each.shape is not Shape.VERTEX_HANDLER]
    return found


def _unread(model_dir: Path, env: Mapping[str, str]) -> list[Reading]:
    """Entry files that show nothing, with a star import, say: loading one tells what it lacks."""
    code = starting.code_dir(model_dir)
    possible = [
        Reading(Shape.SLIPWAY, "handler.py", 1, "Handler"),
        Reading(Shape.SAGEMAKER, _program(code, env), 1),
    ]
    return [reading for reading in possible if (code / reading.file).is_file()]
