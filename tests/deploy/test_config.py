"""deploy.toml: what is right is read; what is wrong is told with place, value and what would be right."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.config import Config, ConfigError, container_environment, load

ROOT = Path(__file__).parents[2]
GOOD = """\
name = "flight-delay"
keep_versions = 2

[aws]
region = "us-east-1"
bucket = "slipway-flight-delay"
role = "arn:aws:iam::123456789012:role/slipway-execution"
image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"
instance_type = "ml.m7i.large"
instance_count = 1
"""


def read(folder: Path, text: str | bytes) -> Config:
    (folder / "deploy.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(folder)


def refusal(folder: Path, text: str | bytes) -> str:
    with pytest.raises(ConfigError) as refused:
        read(folder, text)
    return str(refused.value)


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new, 1)


def test_the_file_that_ships_is_right():
    config = load(ROOT)
    assert config.name == "flight-delay"
    assert config.aws.account == "123456789012"


def test_what_may_be_left_out_has_its_default(tmp_path):
    config = read(tmp_path, changed("keep_versions = 2\n", "").replace("instance_count = 1\n", ""))
    assert (config.keep_versions, config.aws.instance_count) == (2, 1)
    assert container_environment(config) == {}


MISTAKES = {
    "an unknown key": (
        changed("instance_count", "instnce_count"),
        "deploy.toml: [aws]: unknown key 'instnce_count', expected one of bucket, image, instance_count, "
        "instance_type, log_days, region, role, scheduler_role (did you mean 'instance_count'?)",
    ),
    "an unknown key at the top": (
        changed("keep_versions", "keep"),
        "deploy.toml: unknown key 'keep', expected one of aws, batch, check, endpoint, environment, gcp, "
        "image, keep_versions, latency, name, owner, release, serving, training",
    ),
    "an unknown section": (
        GOOD + "[servings]\nmax_queue = 1\n",
        "deploy.toml: unknown section 'servings', expected one of aws, batch, check, endpoint, environment, "
        "gcp, image, keep_versions, latency, name, owner, release, serving, training "
        "(did you mean 'serving'?)",
    ),
    "a filter that is none": (
        GOOD + "[batch]\ninput_filter = '$.a[1'\n",
        "deploy.toml: [batch]: input_filter is '$.a[1', expected a JSONPath of at most 63 characters, "
        "of .name, *, ['a','b'], [0,5] and [start:end] after a $, such as \"$[1:]\"",
    ),
    "a missing section": (
        'name = "flight-delay"\n',
        "deploy.toml: the section [aws] is missing, expected one with region, bucket, role, instance_type",
    ),
    "a missing key": (
        changed('region = "us-east-1"\n', ""),
        'deploy.toml: [aws]: region is missing, expected an AWS region, such as "us-east-1"',
    ),
    "a missing name": (
        changed('name = "flight-delay"\n', ""),
        "deploy.toml: name is missing, expected 1 to 50 letters and digits, with '-' between them, such as "
        '"flight-delay"',
    ),
    "a number in quotes": (
        changed("instance_count = 1", 'instance_count = "1"'),
        "deploy.toml: [aws]: instance_count is '1', expected a whole number of at least 1, such as 1",
    ),
    "true for a number": (
        changed("instance_count = 1", "instance_count = true"),
        "deploy.toml: [aws]: instance_count is True, expected a whole number of at least 1, such as 1",
    ),
    "no instance": (
        changed("instance_count = 1", "instance_count = 0"),
        "deploy.toml: [aws]: instance_count is 0, expected a whole number of at least 1, such as 1",
    ),
    "fewer than no versions": (
        changed("keep_versions = 2", "keep_versions = -1"),
        "deploy.toml: keep_versions is -1, expected a whole number, 0 or more, such as 2",
    ),
    "a key where a section should be": (
        "aws = 1\n" + GOOD.split("[aws]")[0],
        "deploy.toml: aws is 1, expected a section such as [aws]",
    ),
    "a role that is no ARN": (
        changed("arn:aws:iam::123456789012:role/slipway-execution", "slipway-execution"),
        "deploy.toml: [aws]: role is 'slipway-execution', expected the ARN of the role that SageMaker takes "
        'on, such as "arn:aws:iam::123456789012:role/slipway-execution"',
    ),
    "a bucket that is a URI": (
        changed('"slipway-flight-delay"', '"s3://models"'),
        "deploy.toml: [aws]: bucket is 's3://models', expected a bucket's name: 3 to 63 of a-z, 0-9, '-' and "
        "'.', such as \"my-company-models\"",
    ),
    "an instance type of EC2": (
        changed("ml.m7i.large", "m7i.large"),
        "deploy.toml: [aws]: instance_type is 'm7i.large', expected a SageMaker hosting type, such as "
        '"ml.m7i.large"',
    ),
    "an image with a blank": (
        changed("slipway-serving:1", "slipway serving:1"),
        "deploy.toml: [aws]: image is '123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway serving:1', "
        "expected an image's URI without blanks; without it, the kit's own is built, such as "
        '"123456789012.dkr.ecr.us-east-1.amazonaws.com/slipway-serving:1"',
    ),
    "a queue of none": (
        GOOD + "[serving]\nmax_queue = 0\n",
        "deploy.toml: [serving]: max_queue is 0, expected a whole number of 1 to 100000, such as 64",
    ),
    "a drain that outlasts SIGKILL": (
        GOOD + "[serving]\ndrain_s = 30\n",
        "deploy.toml: [serving]: drain_s is 30, expected seconds, 0 to less than 30, such as 25",
    ),
    "a time that never ends": (
        GOOD + "[serving]\nbody_timeout_s = inf\n",
        "deploy.toml: [serving]: body_timeout_s is inf, expected seconds, 0.1 to 3600, such as 10",
    ),
    "a number in the environment": (
        GOOD + "[environment]\nTHREADS = 2\n",
        "deploy.toml: [environment]: THREADS is 2, expected text in quotes",
    ),
    "a variable with a bad name": (
        GOOD + '[environment]\n"LOG-LEVEL" = "info"\n',
        "deploy.toml: [environment]: 'LOG-LEVEL' is no name for a variable, expected letters, digits and "
        "'_', such as LOG_LEVEL",
    ),
    "a setting of the runtime's own": (
        GOOD + '[environment]\nSLIPWAY_MAX_QUEUE = "1"\n',
        "deploy.toml: [environment]: SLIPWAY_MAX_QUEUE is reserved: Slipway or the cloud sets it; limits of "
        "the runtime go into [serving]",
    ),
    "a value that no process can be given": (
        GOOD + '[environment]\nGREETING = "hello\\u0000"\n',
        "deploy.toml: [environment]: GREETING holds a NUL, expected text without one: no process can be "
        "given it",
    ),
    "a value that is too long": (
        GOOD + f'[environment]\nLONG = "{"x" * 1025}"\n',
        "deploy.toml: [environment]: LONG has 1025 bytes, expected at most 1024",
    ),
    "too many variables": (
        GOOD + "[environment]\n" + "".join(f'A{n} = ""\n' for n in range(100)),
        "deploy.toml: [environment]: 101 entries with Slipway's own, expected at most 100 in a container",
    ),
    "too much in all": (
        GOOD + "[environment]\n" + "".join(f'A{n:02} = "{"x" * 1000}"\n' for n in range(33)),
        "deploy.toml: [environment]: 33186 bytes in all, expected at most 32768 in a container",
    ),
    "no TOML": (
        changed('region = "us-east-1"', "region = us-east-1"),
        "deploy.toml: not valid TOML: Invalid value (at line 5, column 10)",
    ),
    "no UTF-8": (
        GOOD.encode() + b"# \xff",
        "deploy.toml: not valid TOML: 'utf-8' codec can't decode byte 0xff in position 283: invalid start "
        "byte",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_place_value_and_what_would_be_right(tmp_path, mistake):
    text, message = MISTAKES[mistake]
    assert refusal(tmp_path, text) == message


def test_every_mistake_is_told_at_once_each_on_a_line(tmp_path):
    text = changed("us-east-1", "mars").replace("instance_count = 1", "count = 1")
    assert [line.split(",")[0] for line in refusal(tmp_path, text).splitlines()] == [
        "deploy.toml: [aws]: region is 'mars'",
        "deploy.toml: [aws]: unknown key 'count'",
    ]


def test_a_file_that_is_not_there_is_told_with_the_folder(tmp_path):
    with pytest.raises(ConfigError, match=re.escape(f"deploy.toml: not in {tmp_path.resolve()}; PROJECT")):
        load(tmp_path)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a_b", "a.b", "ä", "a b", "a\\n", "a" * 51, "iris/../x"])
def test_a_name_that_sagemaker_refuses_is_refused_here(tmp_path, name):
    assert refusal(tmp_path, changed('"flight-delay"', f'"{name}"')).startswith("deploy.toml: name is ")


@pytest.mark.parametrize("name", ["a", "A1", "a--b", "iris-big", "0", "a" * 50])
def test_a_name_that_sagemaker_takes_is_taken(tmp_path, name):
    assert read(tmp_path, changed('"flight-delay"', f'"{name}"')).name == name


@given(st.from_regex(r"[a-zA-Z0-9](-*[a-zA-Z0-9])*", fullmatch=True).filter(lambda name: len(name) <= 50))
def test_a_name_with_its_digest_fits_what_sagemaker_allows(name):
    # Source: CreateEndpointConfig, EndpointConfigName.
    assert re.fullmatch(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", f"{name}-0123456789ab")


@pytest.mark.parametrize("bucket", ["ab", "a" * 64, "Models", "a_b", "-ab", "a..b", ".ab", "ab.", "a/b"])
def test_a_bucket_s_name_that_s3_refuses_is_refused_here(tmp_path, bucket):
    told = refusal(tmp_path, changed('"slipway-flight-delay"', f'"{bucket}"'))
    assert told.startswith(f"deploy.toml: [aws]: bucket is {bucket!r}, expected a bucket's name")


@pytest.mark.parametrize("region", ["us-gov-west-1", "ap-southeast-4", "us-iso-east-1", "cn-north-1"])
def test_regions_of_every_form_are_taken(tmp_path, region):
    assert read(tmp_path, changed("us-east-1", region)).aws.region == region


# In parts, so that this file itself is not taken for one that holds secrets.
SECRETS = {
    "AWS_KEY": "AKIA" + "A1B2C3D4E5F6G7H8",
    "GITHUB": "ghp_" + "a1" * 18,
    "HUB": "hf_" + "aB3" * 11,
    "CHAT": "xoxb-" + "1234567890-abc",
    "PEM": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "INDEX_URL": "https://user:" + "pass" + "@pypi.example.com/simple",
    "DB_PASSWORD": "hunter2",
    "my_api_key": "anything",
    "TOKEN": "abc",
}


@pytest.mark.parametrize("key", SECRETS)
def test_a_secret_in_the_environment_is_refused_and_not_repeated(tmp_path, key):
    told = refusal(tmp_path, GOOD + f'[environment]\n{key} = "{SECRETS[key]}"\n')
    assert told.startswith(f"deploy.toml: [environment]: {key} looks like a secret")
    assert SECRETS[key] not in told


def test_what_only_sounds_like_a_secret_is_taken(tmp_path):
    section = (
        '[environment]\nMAX_TOKEN = "512"\nUSE_TOKEN = "true"\nTOKENIZER = "wordpiece"\n'
        'DB_SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:db"\n'
    )
    assert len(read(tmp_path, GOOD + section).environment) == 4


def test_a_container_gets_the_environment_and_the_runtime_s_limits(tmp_path):
    config = read(
        tmp_path,
        GOOD
        + '[serving]\nmax_queue = 9\ndrain_s = 2.5\nmax_body_mb = 6\n[environment]\nLOG_LEVEL = "info"\n',
    )
    assert container_environment(config) == {
        "LOG_LEVEL": "info",
        "SLIPWAY_MAX_QUEUE": "9",
        "SLIPWAY_MAX_BODY_MB": "6",
        "SLIPWAY_DRAIN_S": "2.5",
    }


@given(st.dictionaries(st.text(max_size=5), st.none() | st.integers() | st.text(max_size=5)))
def test_no_value_whatever_makes_anything_but_a_clear_error(tmp_path_factory, section):
    lines = [f"{_quoted(key)} = {_toml(value)}" for key, value in section.items()]
    folder = tmp_path_factory.mktemp("config")
    told = refusal(folder, "\n".join(['name = "a"', "[aws]", *lines]))
    assert all(line.startswith("deploy.toml: ") for line in told.splitlines())


def _toml(value: object) -> str:
    return _quoted(value) if isinstance(value, str) else str(value or 0)


def _quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(c):08x}" for c in text if not 0xD800 <= ord(c) < 0xE000) + '"'


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "$",
        "$.a.b",
        "$.*",
        "$[*]",
        "$['a','b']",
        "$[0,5]",
        "$[1:]",
        "$[:-1]",
        "$.a[0].b",
        "$[-2]",
        "$[0, 2:5]",
    ],
)
def test_the_operators_of_a_filter_are_taken(tmp_path, expression):
    (tmp_path / "deploy.toml").write_text(GOOD + f'[batch]\noutput_filter = "{expression}"\n')
    assert load(tmp_path).batch.output_filter == expression


@pytest.mark.parametrize(
    "expression", ["a", "$a", "$.", "$..a", "$[", "$[]", "$['a]", "$[a]", "$[1;2]", "$.a b"]
)
def test_what_is_no_filter_is_refused(tmp_path, expression):
    (tmp_path / "deploy.toml").write_text(GOOD + f'[batch]\noutput_filter = "{expression}"\n')
    with pytest.raises(ConfigError, match="output_filter is"):
        load(tmp_path)
