"""[training]: what is right is read; a mistake is one sentence with place, value and what would be right."""

import re
from pathlib import Path

import pytest

from deploy.config import Config, ConfigError, load
from deploy.training import entries

GOOD = """\
name = "iris"

[aws]
region = "us-east-1"
bucket = "slipway-tests"
role = "arn:aws:iam::123456789012:role/slipway-execution"
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
instance_type = "ml.m7i.large"

[training]
"""


def read(folder: Path, section: str) -> Config:
    (folder / "deploy.toml").write_text(GOOD + section)
    return load(folder)


def refusal(folder: Path, section: str) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        read(folder, section)
    return str(refused.value).splitlines()


def test_a_whole_section_is_read(tmp_path):
    section = """\
spot = true
max_run_s = 600
max_wait_s = 900
[training.hyperparameters]
epochs = 3
learning-rate = 0.1
shuffle = true
note = "a b"
[training.channels]
train = "data/train"
more = "s3://bucket/more/"
others = "gs://bucket_1/more/"
[training.metrics]
"test loss" = "test_loss=([0-9.]+)"
"""
    training = read(tmp_path, section).training
    assert training.hyperparameters == {"epochs": 3, "learning-rate": 0.1, "shuffle": True, "note": "a b"}
    assert list(map(entries.as_text, training.hyperparameters.values())) == ["3", "0.1", "true", "a b"]
    assert training.channels == {
        "train": "data/train",
        "more": "s3://bucket/more/",
        "others": "gs://bucket_1/more/",
    }
    assert training.metrics == {"test loss": "test_loss=([0-9.]+)"}


# In parts, so that this file itself is not taken for one that holds secrets.
TOKEN = "hf_" + "aB3" * 11
MISTAKES = {
    "a hyperparameter that is a list": (
        "[training.hyperparameters]\nepochs = [1]\n",
        "[training.hyperparameters]: epochs is [1], expected text in quotes, a finite number, true or false",
    ),
    "a hyperparameter without end": (
        "[training.hyperparameters]\nrate = inf\n",
        "[training.hyperparameters]: rate is inf, expected text in quotes, a finite number, true or false",
    ),
    "a hyperparameter's name with a blank": (
        '[training.hyperparameters]\n"learning rate" = 1\n',
        "[training.hyperparameters]: 'learning rate' is no hyperparameter's name, expected 1 to 256 letters, "
        "digits, '_', '.' and '-'",
    ),
    "a hyperparameter on two lines": (
        '[training.hyperparameters]\nnote = "a\\nb"\n',
        "[training.hyperparameters]: note is 'a\\nb', expected text on one line without control characters",
    ),
    "a hyperparameter that is too long": (
        f'[training.hyperparameters]\nnote = "{"a" * 2501}"\n',
        "[training.hyperparameters]: note has 2501 characters, expected at most 2500",
    ),
    "too many hyperparameters": (
        "[training.hyperparameters]\n" + "".join(f"a{n} = 1\n" for n in range(101)),
        "[training.hyperparameters]: 101 entries, expected at most 100",
    ),
    "a channel's name with a blank": (
        '[training.channels]\n"a b" = "data"\n',
        "[training.channels]: 'a b' is no channel's name, expected 1 to 64 letters, digits, '.', '-' and '_'",
    ),
    "the code's channel": (
        '[training.channels]\ncode = "data"\n',
        "[training.channels]: code is a channel of Slipway's or SageMaker's own: give yours another name",
    ),
    "a channel that is a number": (
        "[training.channels]\ntrain = 5\n",
        '[training.channels]: train is 5, expected a folder or a URI in quotes, such as "data/train"',
    ),
    "a channel of another cloud": (
        '[training.channels]\ntrain = "azure://bucket/train"\n',
        "[training.channels]: train is 'azure://bucket/train', expected a folder, s3://bucket/prefix or "
        "gs://bucket/prefix",
    ),
    "two channels of one variable": (
        '[training.channels]\ntrain = "a"\nTrain = "b"\n',
        "[training.channels]: train and Train would both be SM_CHANNEL_TRAIN: rename one",
    ),
    "a metric that is no regular expression": (
        '[training.metrics]\nloss = "loss=("\n',
        "[training.metrics]: loss is 'loss=(', which is no regular expression: missing ), unterminated "
        "subpattern at position 5",
    ),
    "a metric without a group": (
        '[training.metrics]\nloss = "loss=[0-9]+"\n',
        "[training.metrics]: loss is 'loss=[0-9]+' with 0 groups, expected exactly one (…) around the number",
    ),
    "a metric with two groups": (
        '[training.metrics]\nloss = "(a)(b)"\n',
        "[training.metrics]: loss is '(a)(b)' with 2 groups, expected exactly one (…) around the number",
    ),
    "a wait without spot": (
        "max_wait_s = 600\n",
        "[training]: max_wait_s goes with spot = true: other jobs do not wait for a machine",
    ),
    "a wait that is shorter than the run": (
        "spot = true\nmax_run_s = 600\nmax_wait_s = 599\n",
        "[training]: max_wait_s is 599, expected at least max_run_s (600): the time of waiting and running "
        "together",
    ),
    "a section that is none": (
        "channels = 1\n",
        "[training]: channels is 1, expected a section of names and folders or s3:// or gs:// prefixes, such "
        "as {'train': 'data/train'}",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(tmp_path, mistake):
    section, message = MISTAKES[mistake]
    assert refusal(tmp_path, section) == [f"deploy.toml: {message}"]


def test_every_mistake_of_a_section_has_its_sentence(tmp_path):
    told = refusal(tmp_path, "[training.hyperparameters]\na = []\nb = inf\n[training.metrics]\nc = 1\n")
    assert [re.sub(r" is .*", "", line) for line in told] == [
        "deploy.toml: [training.hyperparameters]: a",
        "deploy.toml: [training.hyperparameters]: b",
        "deploy.toml: [training.metrics]: c",
    ]


@pytest.mark.parametrize(("key", "value"), [("api_key", "anything"), ("hub", TOKEN), ("HF_TOKEN", "abc")])
def test_a_secret_among_hyperparameters_is_refused_and_not_repeated(tmp_path, key, value):
    (told,) = refusal(tmp_path, f'[training.hyperparameters]\n{key} = "{value}"\n')
    assert told.startswith(f"deploy.toml: [training.hyperparameters]: {key} looks like a secret")
    assert value not in told


def test_a_number_of_tokens_is_no_secret(tmp_path):
    assert read(tmp_path, "[training.hyperparameters]\nmax_token = 512\n").training.hyperparameters
