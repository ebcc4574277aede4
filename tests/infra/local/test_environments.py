"""A container's private Python environment: pip works in it, and changes nothing outside."""

import hashlib
import os
import re
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from infra.local import environments

HOST = (Path(sysconfig.get_path("purelib")), Path(sysconfig.get_path("scripts")))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    environments.make(tmp_path / "private")
    (tmp_path / "home").mkdir()
    return tmp_path / "private"


def run(place: Path, *command: str, **given: str) -> subprocess.CompletedProcess[str]:
    home = {"HOME": str(place.parent / "home"), "PYTHONDONTWRITEBYTECODE": "1"}
    variables = environments.variables(place, {**home, **given})
    return subprocess.run(
        command, env=variables, cwd=place.parent, capture_output=True, text=True, timeout=60
    )


def wheel(folder: Path, name: str, version: str) -> str:
    """Writes the smallest wheel there can be; its module says its version."""
    path, info = folder / f"{name}-{version}-py3-none-any.whl", f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"version = {version!r}\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        file.writestr(f"{info}/RECORD", "")
    return str(path)


def host_s_digest() -> str:
    """Of the names, sizes and times of the packages and scripts that the host has."""
    entries = [
        (str(path), status.st_size, status.st_mtime_ns)
        for folder in HOST
        for path in sorted(folder.iterdir())
        for status in [path.lstat()]
    ]
    return hashlib.sha256(repr(entries).encode()).hexdigest()


def test_what_is_installed_goes_into_the_private_environment_alone(place: Path, tmp_path: Path) -> None:
    before = host_s_digest()
    done = run(place, "pip", "install", "--no-index", wheel(tmp_path, "slipwaytest", "1.0"))
    assert done.returncode == 0, done.stderr
    found = run(place, "python3", "-c", "import slipwaytest; print(slipwaytest.__file__)").stdout
    assert found.startswith(str(place))
    assert host_s_digest() == before


def test_another_version_of_what_the_host_has_is_put_in_front_of_it(place: Path, tmp_path: Path) -> None:
    before = host_s_digest()
    done = run(place, "pip3", "install", "--no-index", "--no-deps", wheel(tmp_path, "moto", "0.1"))
    assert done.returncode == 0, done.stderr
    assert run(place, "python", "-c", "import moto; print(moto.version)").stdout == "0.1\n"
    assert host_s_digest() == before


def test_what_the_host_has_is_seen_and_satisfies_a_requirement(place: Path, tmp_path: Path) -> None:
    (tmp_path / "requirements.txt").write_text("moto\n")
    done = run(place, "python3", "-m", "pip", "install", "--no-index", "-r", "requirements.txt")
    assert done.returncode == 0, done.stderr
    assert "Requirement already satisfied: moto" in done.stdout
    assert list((place / "lib").rglob("moto*")) == []


def test_what_the_host_has_cannot_be_uninstalled(place: Path) -> None:
    before = host_s_digest()
    done = run(place, "pip", "uninstall", "-y", "moto")
    assert "outside environment" in done.stdout + done.stderr
    assert host_s_digest() == before


def test_every_python_and_pip_on_the_path_is_the_private_one(place: Path) -> None:
    names = [*environments.PYTHONS, *(name.replace("python", "pip") for name in environments.PYTHONS)]
    found = run(place, "/bin/sh", "-c", "; ".join(f"command -v {name}" for name in names))
    assert found.stdout.splitlines() == [str(place / "bin" / name) for name in names]


def test_a_path_of_the_containers_own_comes_after(place: Path) -> None:
    variables = environments.variables(place, {"PATH": str(Path(sys.executable).parent)}, {})
    assert variables["PATH"] == f"{place / 'bin'}{os.pathsep}{Path(sys.executable).parent}"


def test_a_user_who_installs_for_himself_by_configuration_harms_no_job(place: Path, tmp_path: Path) -> None:
    (tmp_path / "pip.conf").write_text("[install]\nuser = true\n")
    package = wheel(tmp_path, "slipwaytest", "1.0")
    done = run(place, "pip", "install", "--no-index", package, PIP_CONFIG_FILE=str(tmp_path / "pip.conf"))
    assert done.returncode == 0, done.stderr


def test_a_pip_from_elsewhere_does_nothing(place: Path, tmp_path: Path) -> None:
    package = wheel(tmp_path, "slipwaytest", "1.0")
    base = Path(sys.base_prefix, "bin", "python3")
    done = run(place, str(base), "-m", "pip", "install", "--no-index", package)
    assert done.returncode != 0
    # Debian's own Python has no pip at all.
    assert re.search("virtualenv|No module named pip", done.stderr)


def test_pip_finds_its_index_as_the_host_does_and_is_not_led_astray(tmp_path: Path) -> None:
    host = {
        "PIP_INDEX_URL": "https://index.example/simple",
        "PIP_TARGET": "/usr/lib",
        "PIP_PREFIX": "/usr",
        "https_proxy": "http://proxy:3128",
        "SSL_CERT_FILE": "/ca.pem",
        "SLIPWAY_LOCAL_PORT": "1",
        "AWS_PROFILE": "work",
        "HOME": str(tmp_path),
    }
    found = environments.variables(tmp_path, {}, host)
    own = {"PATH", "VIRTUAL_ENV", "PIP_USER", "PIP_REQUIRE_VIRTUALENV"}
    assert found.keys() - own == {
        "PIP_INDEX_URL",
        "https_proxy",
        "SSL_CERT_FILE",
    }


def test_the_users_own_configuration_of_pip_is_kept_though_home_is_another(tmp_path: Path) -> None:
    own = tmp_path / ".config" / "pip" / "pip.conf"
    own.parent.mkdir(parents=True)
    own.touch()
    found = environments.variables(tmp_path, {"HOME": "/private"}, {"HOME": str(tmp_path)})
    assert (found["PIP_CONFIG_FILE"], found["HOME"]) == (str(own), "/private")
