"""[serving] and [latency]: the runtime, and what its times are held against."""

import re
from typing import Self

from pydantic import Field, field_validator, model_validator

from deploy.latency.parts import wrong_budget
from deploy.sections.section import Section

_ADDRESS = re.compile(r"rediss?://([^\s:@/]+@)?([\w.-]+|\[[0-9a-fA-F:.]+\])(:\d{1,5})?(/\d{0,4})?")
_URL = '"redis://host:6379/0", or rediss:// for TLS'


class Serving(Section):
    """[serving]: the runtime's limits; what is left out keeps the runtime's own default."""

    # The runtime's own bounds: what it would refuse at start is refused here.
    max_queue: int | None = Field(
        default=None, ge=1, le=100_000, description="a whole number of 1 to 100000", examples=[64]
    )
    max_body_mb: int | None = Field(
        default=None, ge=1, le=1024, description="a whole number of 1 to 1024", examples=[25]
    )
    header_timeout_s: float | None = Field(
        default=None, ge=0.1, le=3600, description="seconds, 0.1 to 3600", examples=[10]
    )
    body_timeout_s: float | None = Field(
        default=None, ge=0.1, le=3600, description="seconds, 0.1 to 3600", examples=[10]
    )
    workers: int | None = Field(
        default=None, ge=1, le=1024, description="a number of processes, 1 to 1024", examples=[2]
    )
    max_batch_size: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="the instances that may share one call of the handler, 1 to 100000",
        examples=[64],
    )
    max_delay_ms: float | None = Field(
        default=None,
        ge=0,
        le=10_000,
        description="milliseconds that a request may wait for others to share a call with, 0 to 10000",
        examples=[2],
    )
    predict_timeout_s: float | None = Field(
        default=None,
        ge=0.1,
        le=86_400,
        description="seconds that a call of the handler may take until its process is replaced, 0.1 to 86400",
        examples=[60],
    )
    cache: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description="the answers that each process keeps for requests that come again, 0 to 10000000",
        examples=[1000],
    )
    cache_url: str | None = Field(
        default=None,
        description="the address of a Redis, in which processes and instances keep answers together",
        examples=["rediss://cache.example.com:6379/0"],
    )
    cache_password_env: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$",
        description="the name of the variable in which the handler's load leaves that Redis' password",
        examples=["CACHE_PASSWORD"],
    )
    cache_ttl_s: int | None = Field(
        default=None,
        ge=1,
        le=31_536_000,
        description="the seconds for which that Redis keeps an answer, 1 to 31536000",
        examples=[3600],
    )
    handler: str | None = Field(
        default=None,
        pattern=r"^[\w.-]+(:\w+)?$",
        description="a file, or file:Name, where several could be the handler",
        examples=["inference.py"],
    )
    # SageMaker kills a container 30 s after it asked it to stop.
    drain_s: float | None = Field(
        default=None, ge=0, lt=30, description="seconds, 0 to less than 30", examples=[25]
    )

    @model_validator(mode="after")
    def _of_the_shared_cache(self) -> Self:
        if self.cache_url is not None:
            _check_url(self.cache_url)
        elif self.cache_password_env or self.cache_ttl_s:
            key = "cache_password_env" if self.cache_password_env else "cache_ttl_s"
            raise ValueError(f"{key} is there without cache_url, expected cache_url = {_URL} beside it")
        return self


def _check_url(url: str) -> None:
    """ValueError where it is no address of a Redis, or holds a password: its text is never repeated."""
    if re.match(r"\w+://[^@]*:[^@]*@", url):
        raise ValueError(
            "cache_url holds a password, and whoever may describe the model could read it: keep it in "
            "Secrets Manager, have the handler's load put it into a variable, and name that: "
            'cache_password_env = "CACHE_PASSWORD"'
        )
    if not _ADDRESS.fullmatch(url) or len(url) > 1024:
        raise ValueError(f"cache_url is no address of a Redis, expected {_URL}")


class Latency(Section):
    """[latency]: what `latency` holds the endpoint's times against."""

    budget: dict[str, float] = Field(
        default={},
        description="a table of phases and the milliseconds of each at p95",
        examples=[{"whole": 50, "predict": 20}],
    )

    @field_validator("budget", mode="before")
    @classmethod
    def _one_by_one(cls, table: object) -> object:
        wrong = wrong_budget(table) if isinstance(table, dict) else []
        if wrong:
            raise ValueError("\n".join(wrong))
        return table
