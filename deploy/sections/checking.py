"""[check]: what of this project is meant to be as it is, where `check` would stop."""

from pydantic import Field

from deploy.sections.section import Section


class Check(Section):
    """[check]: what a handler does on purpose."""

    run: bool = Field(
        default=True,
        description="false where this machine cannot run the handler, as for want of a GPU, else true",
        examples=[False],
    )
    network: bool = Field(
        default=False,
        description="true where the handler needs the network to load or to answer, else false",
        examples=[True],
    )
    repeatable: bool = Field(
        default=True,
        description="false where the same request may be answered otherwise each time, else true",
        examples=[False],
    )
    trusted_pickles: list[str] = Field(
        default=[],
        description="files below build/model whose code you know and want to run",
        examples=[["model.joblib"]],
    )
