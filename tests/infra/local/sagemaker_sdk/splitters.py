"""The SageMaker SDK v3's own splitters of its local mode, on the files that a list of cases names.

Run in `.venv-sagemaker` by test_sdk_splitters.py: `python splitters.py CASES`, a JSON file with a list of
{"path", "split", "strategy", "size"} (`size` in MB). Prints the payloads of each case, as JSON.
"""

import json
import sys
from pathlib import Path
from typing import Any

from sagemaker.core.local.data import get_batch_strategy_instance, get_splitter_instance


def payloads(case: dict[str, Any]) -> list[str]:
    """What the SDK would send for that file, as text."""
    splitter = get_splitter_instance(case["split"])
    batches = get_batch_strategy_instance(case["strategy"], splitter).pad(case["path"], case["size"])
    return [one if isinstance(one, str) else one.decode("latin-1") for one in batches]


if __name__ == "__main__":
    cases = json.loads(Path(sys.argv[1]).read_text())
    print(json.dumps([payloads(case) for case in cases]))
