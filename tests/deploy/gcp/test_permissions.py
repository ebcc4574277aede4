"""The deployer's role of infra/gcp against the verbs' calls: none without a right, and no right unused."""

import signal

import pytest
import terraform

# What a call needs, by the operation as clouds.gcp names it: "GET models" is of one, and of a list.
# Source: cloud.google.com/vertex-ai/docs/general/iam-permissions; those of Cloud Storage and Cloud Logging.
NEEDS = {
    "POST models:upload": {"aiplatform.models.upload"},
    "GET models": {"aiplatform.models.get", "aiplatform.models.list"},
    "PATCH models": {"aiplatform.models.update"},
    "DELETE models": {"aiplatform.models.delete"},
    "POST endpoints": {"aiplatform.endpoints.create"},
    "GET endpoints": {"aiplatform.endpoints.get", "aiplatform.endpoints.list"},
    "PATCH endpoints": {"aiplatform.endpoints.update"},
    "DELETE endpoints": {"aiplatform.endpoints.delete"},
    "POST endpoints:deployModel": {"aiplatform.endpoints.deploy"},
    "POST endpoints:undeployModel": {"aiplatform.endpoints.undeploy"},
    "POST endpoints:predict": {"aiplatform.endpoints.predict"},
    "POST endpoints:rawPredict": {"aiplatform.endpoints.predict"},
    "POST customJobs": {"aiplatform.customJobs.create", "iam.serviceAccounts.actAs"},
    "GET customJobs": {"aiplatform.customJobs.get", "aiplatform.customJobs.list"},
    "POST customJobs:cancel": {"aiplatform.customJobs.cancel"},
    "POST batchPredictionJobs": {"aiplatform.batchPredictionJobs.create"},
    "GET batchPredictionJobs": {"aiplatform.batchPredictionJobs.get", "aiplatform.batchPredictionJobs.list"},
    "POST batchPredictionJobs:cancel": {"aiplatform.batchPredictionJobs.cancel"},
    "GET operations": {"aiplatform.operations.list"},
    "GET jobs": {"cloudscheduler.jobs.get"},
    "POST jobs": {"cloudscheduler.jobs.create", "iam.serviceAccounts.actAs"},
    "PATCH jobs": {"cloudscheduler.jobs.update", "iam.serviceAccounts.actAs"},
    "DELETE jobs": {"cloudscheduler.jobs.delete"},
    # By a predefined role on the one repository.
    "GET repositories": set(),
    "POST entries:list": {"logging.logEntries.list"},
    "GET buckets": {"storage.buckets.list", "storage.buckets.get"},
    "GET objects": {"storage.objects.get", "storage.objects.list"},
    "POST objects": {"storage.objects.create"},
    "PUT objects": {"storage.objects.create"},
    "DELETE objects": {"storage.objects.delete"},
}
ALLOWED = terraform.permissions("deployer", "deployer_objects", "act_as")


@pytest.fixture
def asked_for(cloud):
    """The operations of all calls from now on, `cloud.forget` or not."""
    heard = set()

    def listen():
        cloud.on_call(heard.add)
        return heard

    return listen


def stopped(cloud, verb, operation):
    """Run the verb and press Ctrl-C as soon as that operation was answered."""
    cloud.on_call(lambda answered: answered == operation and signal.raise_signal(signal.SIGINT))
    assert verb() == 130
    cloud.forget()


@pytest.mark.timeout(300)
def test_the_deployer_may_do_what_the_verbs_do_and_nothing_more(
    cloud, untrained, deploy, weighed, asked_for, tmp_path
):
    place, given = untrained, tmp_path / "given.jsonl"
    given.write_text("1\n2\n")
    calls = asked_for()

    def score(to):
        return deploy(place, "batch-transform", "--input", str(given), "--output", str(tmp_path / to))

    assert deploy(place, "train") == 0
    assert deploy(place) == 0
    text, account = (
        (place / "deploy.toml").read_text(),
        "slipway-scheduler@slipway-tests.iam.gserviceaccount.com",
    )
    (place / "deploy.toml").write_text(text.replace("[gcp]\n", f'[gcp]\nscheduler_account = "{account}"\n'))
    for ttl in ("4h", "5h"):
        assert deploy(place, "deploy-endpoint", "--ttl", ttl) == 0
    with (place / "deploy.toml").open("a") as settings:
        settings.write('[gcp.labels]\nteam = "forecasts"\n')
    assert deploy(weighed(place, 3)) == 0
    assert score("scored") == 0
    for verb in ("invoke", "plan", "status", "logs", "rollback"):
        assert deploy(place, verb) == 0
    (place / "training/train.py").write_text("import time\ntime.sleep(60)\n")
    stopped(cloud, lambda: deploy(place, "train"), "POST customJobs")
    calls = asked_for()
    stopped(cloud, lambda: score("again"), "POST batchPredictionJobs")
    calls = asked_for()
    assert deploy(place, "destroy", "--yes") == 0

    assert {one for one in calls if one not in NEEDS} == set(), "calls of which no permission is known"
    assert {right for one in calls for right in NEEDS[one]} - ALLOWED == set(), "called, and not allowed"
    assert ALLOWED - {right for one in calls for right in NEEDS[one]} == set(), "allowed, and never used"
