"""[endpoint]: how an endpoint scales, how a new version takes its place, and what it keeps."""

from typing import Literal, Self

from pydantic import Field, model_validator

from deploy.sections.section import Section

# Source: the SageMaker API's BlueGreenUpdatePolicy: MaximumExecutionTimeoutInSeconds, which must be larger
# than all waits together.
LONGEST_S, MARGIN_S = 28_800, 600
_PREFIX = r"^([a-zA-Z0-9!_.*'()-]+/)*([a-zA-Z0-9!_.*'()-]+/?)?$"


class Scaling(Section):
    """[endpoint.scaling]: how many instances, by what. A target that is the other cloud's does nothing."""

    min: int = Field(default=1, ge=0, description="a whole number, 0 or more", examples=[1])
    max: int = Field(ge=1, description="a whole number, at least 1 and at least min", examples=[4])
    # Source: Application Auto Scaling's MetricType.
    invocations: float | None = Field(
        default=None,
        gt=0,
        description="requests a minute that each instance is to get, more than 0, on SageMaker",
        examples=[600],
    )
    concurrency: float | None = Field(
        default=None,
        gt=0,
        description="requests at once that each instance is to have, more than 0, on SageMaker",
        examples=[5],
    )
    backlog: float | None = Field(
        default=None,
        gt=0,
        description="requests that may wait for each instance, more than 0, of an asynchronous endpoint",
        examples=[5],
    )
    # Source: the Vertex AI API's AutoscalingMetricSpec.
    cpu: int | None = Field(
        default=None, ge=1, le=100, description="percent of 1 to 100, on Vertex AI", examples=[60]
    )
    accelerator: int | None = Field(
        default=None, ge=1, le=100, description="percent of 1 to 100, on Vertex AI", examples=[60]
    )
    scale_in_s: int = Field(
        default=300,
        ge=0,
        le=3600,
        description="seconds from one removal to the next, 0 to 3600, on SageMaker",
        examples=[300],
    )
    scale_out_s: int = Field(
        default=60,
        ge=0,
        le=3600,
        description="seconds from one addition to the next, 0 to 3600, on SageMaker",
        examples=[60],
    )

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        wrong = []
        if self.max < self.min:
            wrong.append(f"max is {self.max}, expected at least min ({self.min})")
        of_sagemaker = [name for name in ("invocations", "concurrency", "backlog") if getattr(self, name)]
        if len(of_sagemaker) > 1:
            wrong.append(f"{' and '.join(of_sagemaker)} are there, expected one of them")
        _refuse(wrong)
        return self


class Alarms(Section):
    """[endpoint.alarms]: CloudWatch alarms, each of which puts the old version back while a new one comes."""

    errors: int | None = Field(
        default=None,
        ge=0,
        description="a whole number: more answers of 5xx than this in a minute",
        examples=[5],
    )
    error_percent: float | None = Field(
        default=None,
        ge=0,
        lt=100,
        description="percent of 0 to less than 100: a larger share of 5xx in a minute",
        examples=[1],
    )
    p99_ms: float | None = Field(
        default=None,
        gt=0,
        description="milliseconds: a container that takes longer for the slowest hundredth",
        examples=[250],
    )
    minutes: int = Field(
        default=1, ge=1, le=60, description="minutes in a row that it must last, 1 to 60", examples=[2]
    )

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        if self.errors is None and self.error_percent is None and self.p99_ms is None:
            raise ValueError("names no alarm, expected at least one of errors, error_percent, p99_ms")
        return self


class Serverless(Section):
    """[endpoint.serverless]: no instances; SageMaker starts containers as requests come."""

    # Source: the SageMaker API's ProductionVariantServerlessConfig: steps of 1 GB.
    memory_mb: Literal[1024, 2048, 3072, 4096, 5120, 6144] = Field(
        description="one of 1024, 2048, 3072, 4096, 5120, 6144", examples=[2048]
    )
    concurrency: int = Field(ge=1, le=200, description="a whole number of 1 to 200", examples=[20])


class Asynchronous(Section):
    """[endpoint.asynchronous]: requests wait in a queue, and answers are objects in the bucket."""

    output: str = Field(
        default="",
        pattern=_PREFIX,
        max_length=400,
        description="a prefix in the bucket; without it, asynchronous/<name>",
        examples=["asynchronous/flight-delay"],
    )
    failure: str = Field(
        default="",
        pattern=_PREFIX,
        max_length=400,
        description="a prefix in the bucket; without it, <output>-failed",
        examples=["asynchronous/flight-delay-failed"],
    )
    # Source: the SageMaker API's AsyncInferenceClientConfig, and the headers of InvokeEndpointAsync.
    concurrency: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="requests at once of each instance, 1 to 1000; without it, SageMaker chooses",
        examples=[4],
    )
    timeout_s: int = Field(
        default=900, ge=1, le=3600, description="seconds for an answer, 1 to 3600", examples=[900]
    )
    expires_s: int = Field(
        default=21_600,
        ge=60,
        le=21_600,
        description="seconds that a request may wait, 60 to 21600",
        examples=[3600],
    )


class Capture(Section):
    """[endpoint.capture]: requests and answers kept as lines in the bucket. `destroy` leaves them there."""

    percent: int = Field(
        default=100, ge=0, le=100, description="percent of the requests, 0 to 100", examples=[10]
    )
    prefix: str = Field(
        default="",
        pattern=_PREFIX,
        max_length=400,
        description="a prefix in the bucket; without it, captured",
        examples=["captured"],
    )
    what: Literal["input", "output", "both"] = Field(
        default="both", description='"input", "output" or "both"', examples=["both"]
    )


def _section(kind: str) -> str:
    return f"a section such as [endpoint.{kind}]"


class Endpoint(Section):
    """[endpoint]: what is left out is as it is without the section: fixed instances, replaced all at once."""

    rollout: Literal["all-at-once", "canary", "linear"] = Field(
        default="all-at-once",
        description='"all-at-once", "canary" (a part, then the rest) or "linear" (in equal parts)',
        examples=["canary"],
    )
    # Source: the SageMaker API's TrafficRoutingConfig: CanarySize at most 50 %, LinearStepSize 10 to 50 %.
    # Not verified: what SageMaker makes of a part of one instance. Its guide on guardrails leaves that open.
    percent: int = Field(
        default=10,
        ge=1,
        le=50,
        description="percent of the traffic, 1 to 50 for a canary, 10 to 50 for linear",
        examples=[10],
    )
    wait_s: int = Field(
        default=300, ge=0, le=3600, description="seconds between two parts, 0 to 3600", examples=[300]
    )
    termination_wait_s: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="seconds that the old version stays ready for, all traffic gone, 0 to 3600",
        examples=[120],
    )
    scaling: Scaling | None = Field(default=None, description=_section("scaling"), examples=[{"max": 4}])
    alarms: Alarms | None = Field(default=None, description=_section("alarms"), examples=[{"errors": 5}])
    serverless: Serverless | None = Field(
        default=None,
        description=_section("serverless"),
        examples=[{"memory_mb": 2048, "concurrency": 20}],
    )
    asynchronous: Asynchronous | None = Field(
        default=None, description=_section("asynchronous"), examples=[{"timeout_s": 900}]
    )
    capture: Capture | None = Field(default=None, description=_section("capture"), examples=[{"percent": 10}])

    @property
    def shares(self) -> list[int]:
        """The percent of the traffic that a new version has, part after part; the last is 100."""
        if self.rollout == "all-at-once":
            return [100]
        return (
            [self.percent, 100]
            if self.rollout == "canary"
            else [*range(self.percent, 100, self.percent), 100]
        )

    @property
    def unguarded(self) -> str:
        """Why SageMaker moves all traffic at once and asks no alarm, whatever is said here; empty if not.

        Source: docs.aws.amazon.com/sagemaker/latest/dg/deployment-guardrails-exclusions.html
        """
        asked = self.rollout != "all-at-once" or self.alarms is not None
        return "data is captured ([endpoint.capture])" if asked and self.capture else ""

    @property
    def waits_s(self) -> int:
        """The seconds that a rollout waits in all."""
        return (len(self.shares) - 1) * self.wait_s + self.termination_wait_s

    @model_validator(mode="after")
    def _all_together(self) -> Self:
        _refuse([*self._wrong_rollout(), *self._wrong_serverless(), *self._wrong_scaling()])
        return self

    def _wrong_rollout(self) -> list[str]:
        wrong = []
        if self.rollout == "all-at-once":
            idle = [name for name in ("percent", "wait_s") if name in self.model_fields_set]
            wrong += [f'{name} goes with rollout = "canary" or "linear"' for name in idle]
        if self.rollout == "linear" and self.percent < 10:
            wrong.append(f"percent is {self.percent}, expected 10 to 50 with a linear rollout")
        if self.waits_s > LONGEST_S - MARGIN_S:
            wrong.append(
                f"wait_s and termination_wait_s come to {self.waits_s} s in all, expected at most "
                f"{LONGEST_S - MARGIN_S}: SageMaker gives a rollout {LONGEST_S} s"
            )
        return wrong

    def _wrong_serverless(self) -> list[str]:
        """Source: the SageMaker guide on serverless inference, and that on deployment guardrails."""
        if self.serverless is None:
            return []
        parts = ("scaling", "alarms", "asynchronous", "capture")
        wrong = [f"{name} goes not with serverless" for name in parts if getattr(self, name)]
        if self.rollout != "all-at-once" or self.termination_wait_s:
            wrong.append("a serverless endpoint is replaced all at once: leave rollout and its waits out")
        return wrong

    def _wrong_scaling(self) -> list[str]:
        if self.scaling is None:
            return []
        wrong = []
        if self.scaling.min == 0 and not self.asynchronous:
            wrong.append(
                "scaling.min is 0, expected at least 1: an endpoint that answers at once keeps an instance; "
                "[endpoint.serverless] or [endpoint.asynchronous] cost nothing while nobody asks"
            )
        if bool(self.scaling.backlog) != bool(self.asynchronous) and self._is_for_sagemaker():
            word = "backlog" if self.asynchronous else "invocations or concurrency"
            wrong.append(f"scaling goes by the wrong number, expected {word} for this endpoint")
        return wrong

    def _is_for_sagemaker(self) -> bool:
        scaling = self.scaling
        return bool(scaling and (scaling.invocations or scaling.concurrency or scaling.backlog))


def _refuse(wrong: list[str]) -> None:
    if wrong:
        raise ValueError("\n".join(wrong))
