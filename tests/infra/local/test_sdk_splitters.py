"""The local cloud's mini-batches against those of the SageMaker SDK v3's local mode, on random files.

Where they differ, and why ours is kept:
- The SDK counts a payload by `sys.getsizeof`, which adds Python's own 49 bytes and takes two or four bytes
  for each letter once one is beyond Latin-1; MaxPayloadInMB is of bytes on the wire.
- It reads text, so that "\\r\\n" and a lone "\\r" end a line and are sent as "\\n"; the platform splits at
  newline characters, and the bytes of an S3 object are not its to change.
- Of records over the limit it finds only the last, and sends the others; SageMaker fails the object.
"""

import io
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.sagemaker.transforms import splitting

MIB = 1024 * 1024
OVERHEAD = 50  # what sys.getsizeof adds to an ASCII text, and one: it must be less than the limit
STRATEGIES = {"MultiRecord": splitting.MULTI, "SingleRecord": splitting.SINGLE}


def ours(data: bytes, case: dict[str, Any], limit: int) -> list[str]:
    batches = splitting.payloads(io.BytesIO(data), case["split"], STRATEGIES[case["strategy"]], limit)
    return [one.data.decode("latin-1") for one in batches]


def text(chance: random.Random) -> bytes:
    lines = ("".join(chance.choices('ab,"{}1 \t', k=chance.randrange(120))) for _ in range(60))
    return ("\n".join(lines) + chance.choice(["", "\n", "\n\n"])).encode()


@pytest.fixture
def sdk(run_sdk: Callable[..., Any], tmp_path: Path) -> Callable[[list[Any]], list[list[str]]]:
    """The SDK's payloads for cases of (data, split, strategy, limit in bytes)."""

    def ask(cases: list[Any]) -> list[list[str]]:
        asked = []
        for number, (data, split, strategy, limit) in enumerate(cases):
            path = tmp_path / f"case-{number}"
            path.write_bytes(data)
            asked.append({"path": str(path), "split": split, "strategy": strategy, "size": limit / MIB})
        (tmp_path / "cases.json").write_text(json.dumps(asked))
        return list(run_sdk("splitters.py", str(tmp_path / "cases.json")))

    return ask


@pytest.mark.timeout(1800)  # the environment's own building included
def test_mini_batches_are_those_of_the_sdk_but_for_the_differences_named(
    sdk: Callable[[list[Any]], list[list[str]]],
) -> None:
    chance = random.Random(11)
    same = [
        (text(chance), split, strategy, chance.randrange(200, 1500))
        for split, strategy in (("Line", "MultiRecord"), ("Line", "SingleRecord"))
        for _ in range(40)
    ]
    same += [(text(chance), "None", "MultiRecord", 100_000) for _ in range(10)]
    returns = (b"1\r\n2\r3\n", "Line", "SingleRecord", 1000)
    letters = ("\U0001f600\n".encode() + b"abc\n" * 60, "Line", "MultiRecord", 400)
    oversized = (b"1\n" + b"x" * 2000 + b"\n3\n", "Line", "MultiRecord", 1000)
    theirs = sdk([*same, returns, letters, oversized])
    for (data, split, strategy, limit), batches in zip(same, theirs, strict=False):
        case = {"split": split, "strategy": strategy}
        assert ours(data, case, limit - OVERHEAD) == batches

    lines, multi = {"split": "Line", "strategy": "SingleRecord"}, {"split": "Line", "strategy": "MultiRecord"}
    assert theirs[-3] == ["1\n", "2\n", "3\n"]
    assert ours(returns[0], lines, 1000) == ["1\r\n", "2\r3\n"]
    assert len(theirs[-2]) > 1  # 245 bytes, counted as 242 letters of 4 bytes and 76 over
    assert len(ours(letters[0], multi, 400)) == 1
    assert len(theirs[-1][1]) > 1000
    with pytest.raises(splitting.RecordTooLarge):
        ours(oversized[0], multi, 1000)
