"""[endpoint] and [release]: what is right is read; what is wrong is told before anything is asked."""

from pathlib import Path

import clouds
import pytest

from deploy import config
from deploy.sections import Endpoint

ALL = """\
[endpoint]
rollout = "linear"
percent = 20
wait_s = 60
termination_wait_s = 30
[endpoint.scaling]
min = 1
max = 4
invocations = 600
cpu = 60
[endpoint.alarms]
errors = 5
error_percent = 1.5
p99_ms = 250
[endpoint.capture]
percent = 10
[release]
strict = true
tolerance = { absolute = 0.5, relative = 0.01 }
"""
MISTAKES = {
    "[endpoint]\nrollout = 'canry'\n": '[endpoint]: rollout is \'canry\', expected "all-at-once", "canary"',
    "[endpoint]\npercent = 10\n": '[endpoint]: percent goes with rollout = "canary" or "linear"',
    "[endpoint]\nrollout = 'canary'\npercent = 51\n": "[endpoint]: percent is 51, expected percent of the",
    "[endpoint]\nrollout = 'linear'\npercent = 9\n": "percent is 9, expected 10 to 50 with a linear rollout",
    "[endpoint]\nrollout = 'linear'\nwait_s = 3600\n": "come to 32400 s in all, expected at most 28200",
    "[endpoint]\ntermination_wait_s = 3601\n": "termination_wait_s is 3601, expected seconds that the old",
    "[endpoint.scaling]\nmin = 1\n": "[endpoint.scaling]: max is missing, expected a whole number",
    "[endpoint.scaling]\nmin = 3\nmax = 2\ninvocations = 1\n": "[endpoint.scaling]: max is 2, expected at le",
    "[endpoint.scaling]\nmax = 2\ninvocations = 1\nconcurrency = 1\n": "invocations and concurrency are ther",
    "[endpoint.scaling]\nmin = 0\nmax = 2\ninvocations = 1\n": "scaling.min is 0, expected at least 1",
    "[endpoint.scaling]\nmax = 2\nbacklog = 1\n": "expected invocations or concurrency for this endpoint",
    "[endpoint.scaling]\nmax = 2\ninvocations = 1\n[endpoint.asynchronous]\n": "expected backlog for this",
    "[endpoint.scaling]\nmax = 2\ninvocation = 1\n": "unknown key 'invocation', expected one of accelerator",
    "[endpoint.scaling]\nmax = 2\ninvocations = nan\n": "[endpoint.scaling]: invocations is nan, expected",
    "[endpoint.scaling]\nmax = 2\ncpu = 60\n": "[endpoint.scaling]: says not by what, expected invocations o",
    "[endpoint.alarms]\nminutes = 2\n": "[endpoint.alarms]: names no alarm, expected at least one of errors",
    "[endpoint.alarms]\np99_ms = 0\n": "[endpoint.alarms]: p99_ms is 0, expected milliseconds",
    "[endpoint.serverless]\nmemory_mb = 2000\nconcurrency = 1\n": "memory_mb is 2000, expected one of 1024",
    "[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 201\n": "concurrency is 201, expected a whole nu",
    "[endpoint.serverless]\nmemory_mb = 2048\nconcurrency = 1\n[endpoint.capture]\n": "capture goes not with",
    "[endpoint]\ntermination_wait_s = 1\n[endpoint.serverless]\nmemory_mb = 1024\nconcurrency = 1\n": "all a",
    "[endpoint.asynchronous]\noutput = '/x//y'\n": "output is '/x//y', expected a prefix in the bucket",
    "[endpoint.asynchronous]\nexpires_s = 59\n": "expires_s is 59, expected seconds that a request may wait",
    "[endpoint.capture]\nwhat = 'all'\n": '[endpoint.capture]: what is \'all\', expected "input", "output" o',
    "[release]\nstrict = 'yes'\n": "[release]: strict is 'yes', expected true or false: whether an answer",
    "[release.tolerance]\nabsolute = -1\n": "[release.tolerance]: absolute is -1, expected a number, 0 or mo",
    "endpoint = 1\n": "deploy.toml: endpoint is 1, expected a section such as [endpoint]",
}
LACKING = {
    "[endpoint.alarms]\nerrors = 1\n": "[endpoint.alarms]: Vertex AI puts nothing back by an alarm",
    "[endpoint.serverless]\nmemory_mb = 1024\nconcurrency = 1\n": "batch-transform costs nothing between job",
    "[endpoint.asynchronous]\n": "[endpoint.asynchronous]: Vertex AI keeps no requests waiting; batch-transf",
    "[endpoint.capture]\n": "[endpoint.capture]: Vertex AI logs requests into BigQuery",
    "[endpoint.scaling]\nmax = 2\ninvocations = 1\n": "invocations is SageMaker's, expected cpu or accelerat",
    "[endpoint.scaling]\nmax = 2\naccelerator = 50\n": "accelerator goes with [gcp] accelerator_type",
}


def read(folder: Path, text: str, cloud: str = "aws") -> config.Config:
    head, _, rest = clouds.DEPLOY_TOML.format(name="iris").partition("[aws]")
    at_top = text if text.startswith("endpoint =") else ""
    (folder / "deploy.toml").write_text(head + at_top + "[aws]" + rest + ("" if at_top else text))
    found = config.load(folder)
    config.check_cloud(found, cloud)
    return found


def test_what_is_right_is_read_on_both_clouds(tmp_path):
    found = read(tmp_path, ALL)
    assert found.endpoint.shares == [20, 40, 60, 80, 100]
    assert found.endpoint.waits_s == 4 * 60 + 30
    assert found.release and found.release.tolerance.relative == 0.01
    both = ALL.replace("[endpoint.alarms]\nerrors = 5\nerror_percent = 1.5\np99_ms = 250\n", "")
    read(tmp_path, both.replace("[endpoint.capture]\npercent = 10\n", ""), "gcp")


def test_without_the_sections_nothing_is_guarded(tmp_path):
    found = read(tmp_path, "")
    assert found.endpoint == Endpoint() and found.release is None
    assert (found.endpoint.shares, found.endpoint.waits_s) == ([100], 0)


@pytest.mark.parametrize("text", MISTAKES)
def test_a_mistake_is_told_with_place_value_and_what_is_right(tmp_path, text):
    with pytest.raises(config.ConfigError) as refused:
        read(tmp_path, text)
    assert MISTAKES[text] in str(refused.value)
    assert all(line.startswith("deploy.toml: ") for line in str(refused.value).splitlines())


@pytest.mark.parametrize("text", LACKING)
def test_what_vertex_ai_lacks_is_refused_by_name_with_what_to_use(tmp_path, text):
    with pytest.raises(config.ConfigError) as refused:
        read(tmp_path, text, "gcp")
    assert LACKING[text] in str(refused.value)


def test_all_mistakes_are_told_at_once(tmp_path):
    text = "[endpoint]\npercent = 99\nwait_s = 9999\n[endpoint.alarms]\np99_ms = -1\nminutes = 0\n"
    with pytest.raises(config.ConfigError) as refused:
        read(tmp_path, text)
    assert len(str(refused.value).splitlines()) == 4


def test_a_count_of_replicas_stands_in_one_place(tmp_path):
    text = "max_replicas = 3\n[endpoint.scaling]\nmax = 2\ncpu = 50\n"
    with pytest.raises(config.ConfigError, match="max_replicas is there beside .endpoint.scaling"):
        read(tmp_path, text, "gcp")


def test_a_serverless_endpoint_has_no_instances_to_count(tmp_path):
    text = "[endpoint.serverless]\nmemory_mb = 1024\nconcurrency = 1\n"
    head = clouds.DEPLOY_TOML.format(name="iris").replace("[aws]\n", "[aws]\ninstance_count = 2\n")
    (tmp_path / "deploy.toml").write_text(head + text)
    with pytest.raises(
        config.ConfigError, match="instance_count is 2, expected none with .endpoint.serverless"
    ):
        config.check_cloud(config.load(tmp_path), "aws")
