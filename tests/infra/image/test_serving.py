"""The image serves as the process does: built by podman and by buildah, and run as a platform would."""

import http.client
import json
import threading

import images
import pytest
from waiting import until

# The first test to need it waits for the image to be built.
pytestmark = pytest.mark.timeout(400)
LOCKED = (
    "--network=none",
    "--read-only",
    "--cap-drop=all",
    "--user=1000",
    "--security-opt=no-new-privileges",
    "--env=LC_ALL=C",
    "--env=PYTHONUTF8=0",
    "--env=PYTHONCOERCECLOCALE=0",
    "--env=TZ=Pacific/Kiritimati",
)


def mounted(model):
    return f"--volume={model}:/opt/ml/model:ro"


def posted(container, instances):
    """Status and body, through the container's published port."""
    connection = http.client.HTTPConnection("127.0.0.1", container.port, timeout=60)
    try:
        connection.request(
            "POST", "/invocations", json.dumps(instances), {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_row_30_locked_up_it_answers_to_the_byte_what_the_process_answers(
    tool, image_of, start, model, answers_of_a_process
):
    """Row 30 of the faults."""
    container = start(*LOCKED, mounted(model), of=image_of(tool)).ready()
    assert container.probed() == answers_of_a_process
    assert [answer[0] for answer in answers_of_a_process] == [200, 200, 200, 200, 200, 400, 415, 200, 404]


def test_it_answers_at_a_published_port(start, model):
    container = start("--publish=127.0.0.1::8080", mounted(model)).ready()
    assert posted(container, [1, 2.5]) == (200, b"[3,7.5]")


def test_row_3_sigterm_lets_a_request_in_flight_end_and_the_status_is_0(start, model):
    container = start("--publish=127.0.0.1::8080", mounted(model)).ready()
    answers = []
    asking = threading.Thread(target=lambda: answers.append(posted(container, [{"sleep": 2}])))
    asking.start()
    until(lambda: "1" in container.exec("python3", "-c", IN_FLIGHT), 20)
    images.run("podman", "stop", "--time", "30", container.id)
    asking.join(30)
    assert answers == [(200, b'["done"]')]
    assert container.status == 0


# How many connections are with the server, of /proc/net/tcp: 1F90 is 8080 and 01 is ESTABLISHED.
IN_FLIGHT = """
lines = [line.split() for name in ("tcp", "tcp6") for line in open(f"/proc/net/{name}")]
print(sum(line[1].endswith(":1F90") and line[3] == "01" for line in lines))
"""


def test_row_10_a_call_that_takes_more_memory_than_there_is_costs_its_request_alone(start, model):
    limits = ("--memory=300m", "--memory-swap=300m")
    container = start("--publish=127.0.0.1::8080", mounted(model), *limits).ready()
    with pytest.raises((http.client.HTTPException, OSError)):
        posted(container, [{"eat": 1_000_000_000}])
    until(lambda: _answers(container), 20)
    assert "another one takes its place" in container.log
    assert container.runs


def _answers(container):
    try:
        return posted(container, [1]) == (200, b"[3]")
    except (http.client.HTTPException, OSError):
        return False


def test_row_29_a_full_disk_is_told_and_kills_nothing(start, model):
    """Row 29 of the faults."""
    (model / "code/handler.py").write_text(FILLING)
    full = ("--publish=127.0.0.1::8080", mounted(model), "--read-only", "--tmpfs=/tmp:size=1m")
    container = start(*full).ready()
    status, body = posted(container, [4])
    assert (status, json.loads(body)["error"]["code"]) == (503, "disk_full")
    assert "No space left on device" in container.log
    assert posted(container, [0]) == (200, b"[0]")


FILLING = """
class Handler:
    def load(self, model_dir):
        pass
    def predict(self, instances):
        if instances[0] == 4:
            with open("/tmp/filled", "wb") as file:
                file.write(bytes(2_000_000))
        return instances
"""


def test_row_5_a_handler_that_cannot_be_imported_ends_the_container_with_its_reason(start, model):
    (model / "code/handler.py").write_text("import no_such_module\n")
    container = start(mounted(model), "--network=none")
    assert container.status == 1
    assert "No module named 'no_such_module'" in container.log


def test_a_model_folder_is_read_only_and_a_handler_that_writes_there_fails(start, model):
    (model / "code/handler.py").write_text(WRITING)
    container = start(mounted(model), "--network=none")
    assert container.status == 1
    assert "Read-only file system" in container.log


WRITING = """
import pathlib
class Handler:
    def load(self, model_dir):
        pathlib.Path(model_dir, "cache").write_text("")
    def predict(self, instances):
        return instances
"""


def user_of(container):
    """The user that the container's process is: the first of the four numbers."""
    status = container.exec("cat", "/proc/1/status")
    return next(line.split()[1] for line in status.splitlines() if line.startswith("Uid:"))


def test_it_is_root_s_where_sagemaker_wants_it_and_an_ordinary_user_s_on_vertex_ai(start, model):
    vertex = ("--env=AIP_MODE=PREDICTION", "--env=AIP_HTTP_PORT=9000", "--env=AIP_HEALTH_ROUTE=/health")
    here = start(mounted(model), "--network=none").ready()
    there = start(mounted(model), "--network=none", *vertex).ready()
    assert user_of(here) == "0"
    assert user_of(there) == "1000"
    assert "http://0.0.0.0:9000" in there.log


def test_root_without_capabilities_serves_and_says_that_it_stays(start, model):
    locked = ("--network=none", "--cap-drop=all", "--env=AIP_MODE=PREDICTION")
    container = start(mounted(model), *locked).ready()
    assert user_of(container) == "0"
    assert "stays root" in container.log


@pytest.mark.parametrize("words", [("bash",), ("serve", "--port=1")])
def test_other_words_are_refused_with_what_is_right(start, words):
    container = start("--network=none", words=words)
    assert container.status == 2
    assert "serve" in container.log


def test_an_image_is_run_by_its_digest(start, model, image):
    digest = images.run("podman", "image", "inspect", "--format", "{{.Digest}}", image).stdout.strip()
    container = start(mounted(model), "--network=none", of=f"{image.rpartition(':')[0]}@{digest}").ready()
    assert container.asked("{{.ImageName}}").endswith(digest)


@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_a_build_argument_that_is_no_version_ends_the_build_and_runs_nothing(tool, build):
    done = images.built(tool, build, "--build-arg", "TORCH=torch; touch /opt/ran")
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "TORCH='torch; touch /opt/ran': expected exact versions" in said
