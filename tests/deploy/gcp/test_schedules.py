"""A deployment with a TTL on Vertex AI: Cloud Scheduler's job, made for what serves, run, and taken away."""

import base64
import json
import re
from datetime import UTC, datetime, timedelta

import pytest
import requests
from waiting import until

from infra.local.vertex.schedules import next_time

ACCOUNT = "scheduler@slipway-tests.iam.gserviceaccount.com"
JOBS = "v1/projects/slipway-tests/locations/us-central1/jobs"


@pytest.fixture
def ending(iris):
    """iris, whose deploy.toml says who ends it."""
    text = (iris / "deploy.toml").read_text()
    (iris / "deploy.toml").write_text(text.replace("[gcp]\n", f'[gcp]\nscheduler_account = "{ACCOUNT}"\n'))
    return iris


@pytest.fixture
def job(cloud):
    """The schedule's job as Cloud Scheduler has it; None if there is none."""

    def get():
        answer = requests.get(f"{cloud.local.url}/{JOBS}/slipway-iris-ttl", timeout=10)
        return answer.json() if answer.status_code == 200 else None

    return get


def deployed(cloud):
    name = "projects/slipway-tests/locations/us-central1/endpoints/iris"
    return cloud.endpoints.get_endpoint(name=name)


def test_ttl_makes_a_job_that_takes_the_model_off_and_a_deploy_without_it_takes_the_job_away(
    cloud, ending, deploy, job, capsys
):
    before = datetime.now(UTC)
    assert deploy(ending, "deploy-endpoint", "--ttl", "4h") == 0
    made = job()
    endpoint = deployed(cloud)
    moment = datetime.fromisoformat(made["description"].rpartition(" ")[2])
    assert timedelta(hours=4) <= moment - before < timedelta(hours=4, minutes=2)
    assert made["schedule"] == f"{moment.minute} {moment.hour} {moment.day} {moment.month} *"
    assert made["httpTarget"]["uri"].endswith("/endpoints/iris:undeployModel")
    assert made["httpTarget"]["oauthToken"]["serviceAccountEmail"] == ACCOUNT
    assert json.loads(base64.b64decode(made["httpTarget"]["body"])) == {
        "deployedModelId": endpoint.deployed_models[0].id
    }
    assert endpoint.labels["slipway-expires"] == f"{moment:%Y-%m-%dt%H-%M-%Sz}"
    assert f"ends       {moment:%Y-%m-%d %H:%M:%S} UTC, by itself" in capsys.readouterr().out

    assert deploy(ending) == 0
    assert "delete schedule" in capsys.readouterr().out
    assert job() is None
    assert "slipway-expires" not in deployed(cloud).labels


def test_the_schedule_follows_the_version_that_serves_through_a_deploy_and_a_rollback(
    cloud, ending, deploy, job, weighed
):
    assert deploy(ending, "deploy-endpoint", "--ttl", "1h") == 0
    assert deploy(weighed(ending, 3), "deploy-endpoint", "--ttl", "2h") == 0
    told = job()["description"]
    assert deploy(ending, "rollback") == 0
    (serving,) = deployed(cloud).deployed_models
    assert job()["description"] == told
    assert json.loads(base64.b64decode(job()["httpTarget"]["body"])) == {"deployedModelId": serving.id}
    assert deployed(cloud).labels["slipway-expires"]


def test_when_the_job_runs_no_model_is_on_the_endpoint_and_status_says_so(cloud, ending, deploy, capsys):
    assert deploy(ending, "deploy-endpoint", "--ttl", "1h") == 0
    requests.post(f"{cloud.local.url}/{JOBS}/slipway-iris-ttl:run", timeout=10).raise_for_status()
    until(lambda: not deployed(cloud).deployed_models, 20)

    def status():
        capsys.readouterr()
        assert deploy(ending, "status") == 0
        return capsys.readouterr().out

    assert "cost  " not in until(lambda: (text := status()) and "serves nothing" in text and text, 20)
    assert deploy(ending) == 0  # as ever, a deploy puts it back, and there it stays


def test_status_says_when_it_ends(ending, deploy, capsys):
    assert deploy(ending, "deploy-endpoint", "--ttl", "3h") == 0
    capsys.readouterr()
    assert deploy(ending, "status") == 0
    assert re.search(r"^ends       \S+ \S+ UTC \(in .+\)$", capsys.readouterr().out, re.MULTILINE)


NOON = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "zone", "when"),
    [
        ("1 12 23 11 *", "Etc/UTC", datetime(2026, 11, 23, 12, 1, tzinfo=UTC)),
        ("0 12 23 11 *", "Etc/UTC", datetime(2027, 11, 23, 12, 0, tzinfo=UTC)),
        ("30 13 23 11 *", "Europe/Paris", datetime(2026, 11, 23, 12, 30, tzinfo=UTC)),
    ],
)
def test_the_local_cloud_knows_when_a_minute_of_the_year_comes_next(schedule, zone, when):
    assert next_time(schedule, zone, NOON) == when.timestamp()


@pytest.mark.parametrize(
    "given",
    [
        {"schedule": "* * * * *"},
        {"schedule": "99 1 1 1 *"},
        {"timeZone": "Mars"},
        {"httpTarget": {"uri": "https://example.com/"}},
    ],
)
def test_the_local_cloud_refuses_a_job_that_it_would_not_run(cloud, given):
    job = {
        "name": f"{JOBS.removeprefix('v1/')}/any",
        "schedule": "1 2 3 4 *",
        "timeZone": "Etc/UTC",
        "httpTarget": {"uri": f"{cloud.local.url}/{JOBS}"},
    }
    answer = requests.post(f"{cloud.local.url}/{JOBS}", json={**job, **given}, timeout=10)
    assert (answer.status_code, answer.json()["error"]["status"]) == (400, "INVALID_ARGUMENT")
