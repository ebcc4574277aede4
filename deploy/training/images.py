"""Which Python and torch an image holds, as far as its URI tells. Pure.

`…/pytorch-training:2.6.0-cpu-py312-ubuntu22.04` tells both; `…/slipway-serving:1` tells nothing, and nothing
is guessed for it. An image of one's own can tell by its tag: `slipway-serving:torch2.13-py312`.
"""

import re

_TORCH = re.compile(r"(?:^|[-_.])torch-?(\d+\.\d+)")
_RELEASE = re.compile(r"(\d+\.\d+)(?:\.\d+)?(?:$|[-_])")
_PYTHON = re.compile(r"(?:^|[-_.])py(\d)\.?(\d+)")


def versions(image: str) -> dict[str, str]:
    """The minor versions that the URI tells, such as {"Python": "3.12", "torch": "2.6"}."""
    repository, _, tag = image.rpartition("/")[2].partition("@")[0].partition(":")
    found = {}
    if python := _PYTHON.search(tag):
        found["Python"] = f"{python[1]}.{python[2]}"
    # AWS's own images are tagged with the release of the framework that their repository names.
    released = _RELEASE.match(tag) if "pytorch" in repository else None
    if torch := _TORCH.search(tag) or released:
        found["torch"] = torch[1]
    return found


def mismatch(training: str, serving: str) -> list[str]:
    """A sentence for each version in which the two images surely differ."""
    trained, served = versions(training), versions(serving)
    return [
        f"the model is trained with {name} {trained[name]} and served with {name} {served[name]}: "
        "what one saves, the other may not load"
        for name in sorted(trained.keys() & served.keys())
        if trained[name] != served[name]
    ]
