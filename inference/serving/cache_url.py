"""Where the shared cache is, from its URL. What is raised never repeats that, for it may hold a password."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import SplitResult, unquote, urlsplit

from inference.serving.errors import StartError

URL, PASSWORD_ENV = "SLIPWAY_CACHE_URL", "SLIPWAY_CACHE_PASSWORD_ENV"
_EXPECTED = (
    "expected redis://host:6379/0, or rediss:// for TLS (it is not shown here: it may hold a password)"
)
_PORT = 6379
_MOST_DATABASES = 10_000


@dataclass(frozen=True)
class RedisAddress:
    """A Redis server. The password is that of the URL, or else stands in the variable `password_env` when the
    connection is made, so that a handler's load can fetch it and put it there."""

    host: str
    port: int = _PORT
    database: int = 0
    tls: bool = False
    user: str = ""
    password: str = field(default="", repr=False)
    password_env: str = ""

    @property
    def shown(self) -> str:
        """The address without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"redis{'s' if self.tls else ''}://{host}:{self.port}/{self.database}"

    def secret(self, env: Mapping[str, str]) -> str:
        """The password; "" where there is none."""
        return self.password or env.get(self.password_env, "")


def read(env: Mapping[str, str]) -> RedisAddress | None:
    """The address that this environment names, None where it names none. StartError says what is wrong."""
    text, password_env = env.get(URL, ""), env.get(PASSWORD_ENV, "")
    if not text:
        if password_env:
            raise StartError(f"{PASSWORD_ENV}: expected {URL} beside it")
        return None
    try:
        return _parsed(urlsplit(text), password_env)
    except ValueError as error:
        raise StartError(f"{URL}: {error}; {_EXPECTED}") from None


def _parsed(url: SplitResult, password_env: str) -> RedisAddress:
    if url.scheme not in ("redis", "rediss"):
        raise ValueError("it begins with neither redis:// nor rediss://")
    if not url.hostname:
        raise ValueError("it names no host")
    if url.query or url.fragment:
        raise ValueError("it has something behind '?' or '#', which means nothing here")
    if url.password and password_env:
        raise ValueError(f"it holds a password, and {PASSWORD_ENV} names another")
    return RedisAddress(
        host=url.hostname,
        port=_port(url),
        database=_database(url.path.strip("/")),
        tls=url.scheme == "rediss",
        user=unquote(url.username or ""),
        password=unquote(url.password or ""),
        password_env=password_env,
    )


def _port(url: SplitResult) -> int:
    try:
        return _PORT if url.port is None else url.port
    except ValueError:  # its own words repeat what stands there, which may be a part of a password
        raise ValueError("its port is no number from 1 to 65535") from None


def _database(path: str) -> int:
    if path and not (path.isascii() and path.isdigit() and int(path) <= _MOST_DATABASES):
        raise ValueError("behind the host it has something other than the number of a database")
    return int(path or 0)
