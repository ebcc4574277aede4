"""Where training lies and what jobs are called."""

import re

import pytest

from deploy.batch.places import Remote
from deploy.training import addresses
from deploy.training.bundles import Bundle

ROOT = addresses.root("gs", "models", "iris")


def test_a_bundle_lies_by_its_digest_and_data_in_a_bucket_stays_there():
    digest = "0123456789ab" + "c" * 52
    assert addresses.channel_uri(ROOT, Bundle("code", digest=digest)) == (
        "gs://models/iris/training/code/0123456789ab/"
    )
    assert addresses.channel_uri(ROOT, Bundle("train", digest=digest)) == (
        "gs://models/iris/training/data/0123456789ab/"
    )
    assert addresses.channel_uri(ROOT, Bundle("more", uri="gs://zoo/more")) == "gs://zoo/more"


def test_checkpoints_are_those_of_what_is_trained():
    one = addresses.checkpoints(ROOT, [{"epochs": "3"}, {}])
    assert isinstance(one, Remote)
    assert re.fullmatch(r"gs://models/iris/training/checkpoints/[0-9a-f]{12}/", str(one))
    assert addresses.checkpoints(ROOT, [{"epochs": "3"}, {}]) == one
    assert addresses.checkpoints(ROOT, [{"epochs": "4"}, {}]) != one


@pytest.mark.parametrize("name", ["a", "iris", "a" * 50, "a" * 35 + "-" + "b" * 14])
def test_a_job_s_name_fits_what_both_clouds_allow_and_is_known_again(name):
    made = addresses.new_name(name, "0123456789ab")
    # Source: CreateTrainingJob, TrainingJobName, which is the narrower one.
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", made)
    assert made.endswith("-012345")
    assert addresses.is_named_so(name, made)
    assert not addresses.is_named_so(name, f"big-{made}")
