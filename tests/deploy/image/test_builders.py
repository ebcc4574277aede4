"""Images built by tools of this machine: programs that stand for docker, podman and buildah."""

from __future__ import annotations

import contextlib
import http.server
import json
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from waiting import until

from deploy.image import builders
from deploy.image.builders import BuildError, Login
from deploy.image.context import Context, File
from deploy.image.recipes import Recipe

RECIPE = Recipe(
    Context((File("infra/image/Dockerfile", b"FROM base\nARG DEVICE\n"),)),
    "linux/amd64",
    (("DEVICE", "cpu"),),
)
PASSWORD = "not-for-anybody's-eyes"
TOOL = f"""\
#!{sys.executable}
import json, os, pathlib, sys
if sys.argv[1] == "info":
    sys.exit()
given = {{
    "words": sys.argv[1:],
    "stdin": sys.stdin.read(),
    "files": sorted(str(path) for path in pathlib.Path().rglob("*") if path.is_file()),
    "environment": dict(os.environ),
}}
with open(os.environ["TOLD"], "a") as told:
    told.write(json.dumps(given) + "\\n")
print("a line of " + sys.argv[1], flush=True)
print("and one that went wrong", file=sys.stderr)
sys.exit(int(os.environ.get("FAIL", "") == sys.argv[1]))
"""
SLOW = """\
#!/bin/sh
[ "$1" = info ] && exit 0
echo started
/bin/sleep 60 &
echo $! > "$TOLD"
wait
"""


@contextlib.contextmanager
def registry(status: int) -> Iterator[str]:
    """Something that answers /v2/ with this status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v2/" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the tools say what they were given; they are the only ones on PATH."""
    monkeypatch.setenv("TOLD", str(tmp_path / "told"))
    monkeypatch.setenv("PATH", f"{tmp_path}/bin")
    (tmp_path / "bin").mkdir()
    return tmp_path / "told"


@pytest.fixture
def install(told: Path) -> Callable[..., None]:
    def put(*names: str, text: str = TOOL) -> None:
        for name in names:
            (told.parent / "bin" / name).write_text(text)
            (told.parent / "bin" / name).chmod(0o755)

    return put


def calls(told: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in told.read_text().splitlines()]


@pytest.mark.parametrize("tool", builders.TOOLS)
def test_a_tool_builds_logs_in_and_pushes(tool: str, install: Callable[..., None], told: Path) -> None:
    install(tool)
    heard: list[str] = []
    builders.build(tool, RECIPE, Login("https://registry.example", "AWS", PASSWORD), heard.append)
    image = f"registry.example/{RECIPE.name}"
    built, login, pushed = calls(told)
    assert built["words"][0] == "build"
    assert built["words"][-2:] == [f"--tag={image}", "."]
    assert {"--file=infra/image/Dockerfile", "--platform=linux/amd64", "--build-arg=DEVICE=cpu"} <= set(
        built["words"]
    )
    assert built["files"] == ["infra/image/Dockerfile"]
    assert built["environment"]["BUILDX_NO_DEFAULT_ATTESTATIONS"] == "1"
    assert login["words"][-3:] == ["--username=AWS", "--password-stdin", "registry.example"]
    assert login["stdin"] == PASSWORD
    assert (pushed["words"][0], pushed["words"][-1]) == ("push", image)
    assert heard.count("a line of build") == 1
    assert "and one that went wrong" in heard


@pytest.mark.parametrize("tool", builders.TOOLS)
def test_the_password_is_told_to_nobody_else(tool: str, install: Callable[..., None], told: Path) -> None:
    install(tool)
    builders.build(tool, RECIPE, Login("https://registry.example", "AWS", PASSWORD), lambda _: None)
    for call in calls(told):
        assert PASSWORD not in json.dumps([call["words"], call["environment"]])
    assert [PASSWORD in str(call["stdin"]) for call in calls(told)] == [False, True, False]


def test_podman_and_buildah_keep_the_login_where_it_is_gone_after(
    install: Callable[..., None], told: Path
) -> None:
    for tool in ("podman", "buildah"):
        install(tool)
        builders.build(tool, RECIPE, Login("http://registry.example", "AWS", PASSWORD), lambda _: None)
        built, login, pushed = calls(told)[-3:]
        files = [word for call in (login, pushed) for word in call["words"] if "--authfile" in word]
        assert len(files) == 2
        assert len(set(files)) == 1
        assert not Path(files[0].partition("=")[2]).parent.exists()
        assert all("--tls-verify=false" in call["words"] for call in (login, pushed))
        assert "--format=docker" in built["words"]


@pytest.mark.parametrize(("step", "printed"), [("build", "a line of build"), ("push", "a line of push")])
def test_a_step_that_fails_says_what_it_printed(
    step: str, printed: str, install: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("docker")
    monkeypatch.setenv("FAIL", step)
    with pytest.raises(BuildError, match=rf"`docker {step}` failed \(1\).*\n{printed}\nand one that"):
        builders.build("docker", RECIPE, Login("https://registry.example", "AWS", PASSWORD), lambda _: None)


def test_ctrl_c_ends_the_build_and_all_that_it_started(install: Callable[..., None], told: Path) -> None:
    install("docker", text=SLOW)

    def stop(_: str) -> None:
        until(lambda: told.exists() and told.read_text().strip(), 10)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        builders.build("docker", RECIPE, Login("https://registry.example", "AWS", PASSWORD), stop)
    child = int(told.read_text())
    until(lambda: not _runs(child), 10)


def _runs(process: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def test_the_first_that_works_is_taken(install: Callable[..., None]) -> None:
    with registry(401) as address:
        assert builders.choose("auto", address) == "cloud"
        install("buildah")
        assert builders.choose("auto", address) == "buildah"
        install("docker", text="#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
        assert builders.choose("auto", address) == "buildah"
        install("podman")
        assert builders.choose("auto", address) == "podman"


def test_a_tool_that_is_asked_for_must_work(install: Callable[..., None]) -> None:
    with registry(200) as address:
        with pytest.raises(BuildError, match=r'builder = "podman": it is not installed'):
            builders.choose("podman", address)
        install("docker", text="#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
        with pytest.raises(BuildError, match="Cannot connect to the Docker daemon"):
            builders.choose("docker", address)


def test_a_registry_that_takes_no_pushes_leaves_the_cloud(install: Callable[..., None]) -> None:
    install("docker")
    with registry(404) as address:
        assert builders.choose("auto", address) == "cloud"
        with pytest.raises(BuildError, match="takes no pushes from here"):
            builders.choose("docker", address)
    assert builders.choose("auto", address) == "cloud"  # nobody answers any more


def test_the_cloud_is_asked_for_without_a_look_at_anything() -> None:
    assert builders.choose("cloud", "https://registry.invalid") == "cloud"
