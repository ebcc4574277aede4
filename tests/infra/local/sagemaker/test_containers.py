"""What a container gets, what becomes of a bad archive, and what is left of it."""

import os
import signal
import stat
import time
from pathlib import Path

import pytest
from botocore.exceptions import ClientError


@pytest.fixture(scope="module")
def name(cloud):
    return cloud.served(VERSION="1", EMPTY="")


def started(cloud, url):
    """The description of an endpoint, at rest, whose model was this archive when its model was made."""
    name = cloud.endpoint(cloud.config(cloud.model(ModelDataUrl=url)), wait=False)
    return cloud.until(lambda: at_rest(cloud, name))


def at_rest(cloud, name):
    described = cloud.sagemaker.describe_endpoint(EndpointName=name)
    return None if described["EndpointStatus"] == "Creating" else described


def test_the_environment_is_made_from_nothing_and_then_the_model_s(cloud, name):
    seen = cloud.invoke(name)
    place, environment = seen["cwd"], seen["environment"]
    port = environment.pop("SAGEMAKER_BIND_TO_PORT")
    assert port.isdigit()
    assert environment.pop("PATH").endswith(":/usr/local/bin:/usr/bin:/bin")
    assert Path(environment.pop("PYTHONPATH"), "infra").is_dir()
    environment.pop("LC_CTYPE", None)  # Python's own
    assert environment == {
        "LANG": "C.UTF-8",
        "HOME": f"{place}/home",
        "TMPDIR": f"{place}/tmp",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "SAGEMAKER_BASE_DIR": f"{place}/opt/ml",
        "VERSION": "1",
        "EMPTY": "",
    }


def test_opt_ml_model_is_read_only(cloud, name):
    model = Path(cloud.invoke(name)["cwd"], "opt/ml/model")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (model, model / "weights.txt")}
    assert modes == {"model": 0o555, "weights.txt": 0o444}


def test_a_model_without_an_archive_has_an_empty_model_directory(cloud):
    model = cloud.name("bare")
    container = {"Image": cloud.image}
    cloud.sagemaker.create_model(ModelName=model, ExecutionRoleArn=cloud.role, PrimaryContainer=container)
    assert cloud.invoke(cloud.endpoint(cloud.config(model)))["model"] == []


def test_output_is_in_cloudwatch_logs_by_variant_and_instance(cloud, name):
    logs = cloud.client("logs")
    group = f"/aws/sagemaker/Endpoints/{name}"
    (stream,) = logs.describe_log_streams(logGroupName=group)["logStreams"]
    variant, _, instance = stream["logStreamName"].partition("/")
    assert (variant, len(instance)) == ("A", len("i-") + 17)
    assert cloud.until(lambda: "version 1 listens" in cloud.log_of(name))


def test_output_comes_back_though_somebody_deleted_the_log_group(cloud):
    name = cloud.served()
    cloud.until(lambda: "listens" in cloud.log_of(name))
    cloud.client("logs").delete_log_group(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    cloud.sagemaker.delete_endpoint(EndpointName=name)
    cloud.sagemaker.get_waiter("endpoint_deleted").wait(EndpointName=name, WaiterConfig={"Delay": 1})
    assert "asked to stop" in cloud.log_of(name)


def test_an_archive_that_is_gone_by_the_start_makes_the_endpoint_failed(cloud):
    url = cloud.archive(key="gone/model.tar.gz")
    config = cloud.config(cloud.model(ModelDataUrl=url))
    cloud.client("s3").delete_object(Bucket=cloud.bucket, Key="gone/model.tar.gz")
    name = cloud.endpoint(config, wait=False)
    reason = cloud.settled(name, "Failed")["FailureReason"]
    assert reason.startswith(
        f'Failed to download model data for container "container_1" from URL: "{url}". Please ensure that '
        "there is an object located at the URL and that the role passed to CreateModel has permissions to "
        "download the object."
    )
    assert "NoSuchKey" in cloud.log_of(name)


def flipped(data):
    """The archive with one bit of its middle turned."""
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        flipped,
        lambda data: data[:-9],
        lambda data: data[: len(data) // 2],
        lambda data: b"no gzip",
        lambda data: b"",
    ],
    ids=["one bit flipped", "without its checksum", "half of it", "no gzip", "empty"],
)
def test_row_18_a_damaged_archive_fails_before_the_container_starts(cloud, damage):
    """Row 18 of the faults."""
    data = cloud.packed(**{"weights.txt": "".join(str(number) for number in range(5000))})
    described = started(cloud, cloud.archive(damage(data), "damaged/model.tar.gz"))
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith(
        f'Failed to extract model data archive from URL "s3://{cloud.bucket}/damaged/model.tar.gz". Please '
        "ensure that the object located at the URL is a valid tar.gz archive. ("
    )
    said = cloud.log_of(described["EndpointName"])
    assert described["FailureReason"] in said
    assert "listens" not in said


def test_an_archive_with_a_path_out_of_it_is_refused(cloud):
    described = started(cloud, cloud.archive(cloud.packed(**{"../out.txt": "x"}), "out/model.tar.gz"))
    assert described["EndpointStatus"] == "Failed"
    assert ".." in described["FailureReason"]
    assert not list(cloud.home.rglob("out.txt"))


def test_a_request_that_timed_out_does_not_stop_the_next_one(cloud):
    name = cloud.served()
    with pytest.raises(ClientError):
        cloud.invoke(name, {"sleep": 4.5})
    assert cloud.invoke(name)["size"]


def test_a_container_that_is_killed_is_started_again_in_its_place(cloud):
    name = cloud.served(VERSION="again")
    before = cloud.invoke(name)
    os.kill(before["pid"], signal.SIGKILL)
    after = cloud.until(lambda: answered(cloud, name, before["pid"]))
    assert after["cwd"] == before["cwd"]
    cloud.until(lambda: cloud.log_of(name).count("version again listens") == 2)


def answered(cloud, name, but):
    try:
        seen = cloud.invoke(name)
    except ClientError:
        return None
    return seen if seen["pid"] != but else None


def test_a_container_for_which_there_is_no_place_makes_the_endpoint_failed(cloud):
    containers, aside = cloud.home / "containers", cloud.home / "aside"
    containers.rename(aside)
    containers.touch()  # no directory can be made in it
    try:
        described = started(cloud, cloud.archive())
    finally:
        containers.unlink()
        aside.rename(containers)
    assert described["EndpointStatus"] == "Failed"
    assert described["FailureReason"].startswith("The container could not be started. (")


def test_nothing_of_a_failed_container_is_left_on_the_disk(cloud):
    before = set(cloud.home.glob("containers/*"))
    name = cloud.endpoint(cloud.config(cloud.model({"FAILS": "1"})), wait=False)
    cloud.settled(name, "Failed")
    time.sleep(0.1)
    assert set(cloud.home.glob("containers/*")) <= before
