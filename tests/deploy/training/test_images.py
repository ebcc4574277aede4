"""What an image's URI tells of the versions in it, and what two images that differ are worth saying."""

import pytest

from deploy.training import images

AWS = "763104351884.dkr.ecr.us-east-1.amazonaws.com"


@pytest.mark.parametrize(
    ("image", "versions"),
    [
        (f"{AWS}/pytorch-training:2.6.0-cpu-py312-ubuntu22.04-sagemaker", {"Python": "3.12", "torch": "2.6"}),
        (f"{AWS}/pytorch-training:2.10-gpu-py313", {"Python": "3.13", "torch": "2.10"}),
        (f"{AWS}/slipway-serving:torch2.13-py311", {"Python": "3.11", "torch": "2.13"}),
        (f"{AWS}/slipway-serving:py3.11", {"Python": "3.11"}),
        (f"{AWS}/slipway-serving:1", {}),
        (f"{AWS}/slipway-serving:2.6.0", {}),
        (f"{AWS}/pytorch-training", {}),
        (f"{AWS}/pytorch-training@sha256:{'0' * 64}", {}),
        ("localhost:5000/pytorch:2.6.0", {"torch": "2.6"}),
        ("", {}),
    ],
)
def test_an_image_s_versions_are_those_that_its_tag_tells(image, versions):
    assert images.versions(image) == versions


def test_only_what_surely_differs_is_told():
    training = f"{AWS}/pytorch-training:2.6.0-cpu-py312"
    assert images.mismatch(training, f"{AWS}/slipway-serving:torch2.6-py312") == []
    assert images.mismatch(training, f"{AWS}/slipway-serving:1") == []
    may_not = "what one saves, the other may not load"
    assert images.mismatch(training, f"{AWS}/slipway-serving:torch2.13-py311") == [
        f"the model is trained with Python 3.12 and served with Python 3.11: {may_not}",
        f"the model is trained with torch 2.6 and served with torch 2.13: {may_not}",
    ]
