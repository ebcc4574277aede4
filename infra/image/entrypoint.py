"""The image's entry point: `serve` and `train`, the two words that the platforms know.

Each becomes the process itself: the platform's signals reach it, and its exit status is the container's.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

HERE = Path(__file__).parent
USER = 1000
USAGE = "expected serve or train; to run something else in this image, override its entry point"


def argv_of(words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """What is run for these words.

    ValueError for any but `serve` and `train`, and for a job without a program.
    """
    verb, rest = (words[0], words[1:]) if words else ("", [])
    if verb == "serve":
        return [sys.executable, "-m", "inference.serving", "serve", *rest]
    if verb == "train":
        return [sys.executable, str(_launcher(environment)), *rest]
    raise ValueError(f"{verb!r}: {USAGE}")


def _launcher(environment: Mapping[str, str]) -> Path:
    # It travels with the job, as the handler does with the model: the image is the same for all.
    place = Path(environment.get("SAGEMAKER_BASE_DIR") or "/opt/ml")
    program = place / "input" / "data" / "code" / "launch.py"
    if not program.is_file():
        raise ValueError(f"train: {program} is not there, expected Slipway's in the job's channel code")
    return program


def may_leave_root(environment: Mapping[str, str]) -> bool:
    """Whether the platform lets a serving container run as an ordinary user: Vertex AI does.

    "SageMaker AI expects all containers to run with root users", and a container of SageMaker cannot be told
    from one that runs nowhere. Source: the developer guide's your-algorithms-inference-code
    """
    return "AIP_MODE" in environment


def leave_root() -> None:
    """Becomes an ordinary user, for good. PermissionError where not even root may."""
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)


def main(words: Sequence[str]) -> int:
    """Becomes what the words say; returns only where it cannot."""
    try:
        argv = argv_of(words, os.environ)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if words[0] == "serve":
        os.environ["PYTHONPATH"] = str(HERE)
        _be_ordinary(os.environ)
    return os.execv(argv[0], argv)  # noqa: S606 - an argument list, and no shell is wanted


def _be_ordinary(environment: Mapping[str, str]) -> None:
    if os.geteuid() != 0 or not may_leave_root(environment):
        return
    try:
        leave_root()
    except PermissionError:  # root without capabilities, which is no more than a user
        print("the container's user stays root: it may not become another", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
