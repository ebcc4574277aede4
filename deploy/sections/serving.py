"""[serving] and [latency]: the runtime, and what its times are held against."""

from pydantic import Field, field_validator

from deploy.latency.parts import wrong_budget
from deploy.sections.section import Section


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
