"""[release]: golden samples, asked of a new version before it takes traffic."""

from pydantic import Field

from deploy.sections.section import Section


class Tolerance(Section):
    """[release.tolerance]: how far a number may be from that of the version in service."""

    absolute: float = Field(default=0, ge=0, description="a number, 0 or more", examples=[0.5])
    relative: float = Field(
        default=0,
        ge=0,
        description="a share of the number in service, 0 or more",
        examples=[0.01],
    )


class Release(Section):
    """[release]: with it, a new version first answers beside the one in service, and is compared with it."""

    strict: bool = Field(
        default=False,
        description="true or false: whether an answer that differs stops the release",
        examples=[True],
    )
    tolerance: Tolerance = Field(
        default=Tolerance(),
        description="a section such as [release.tolerance]; the larger of its numbers holds",
        examples=[{"absolute": 0.5, "relative": 0.01}],
    )
    shown: int = Field(
        default=20, ge=1, le=10_000, description="differences that are shown, 1 to 10000", examples=[20]
    )
