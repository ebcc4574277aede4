"""What all sections of deploy.toml are."""

from pydantic import BaseModel, ConfigDict

# SageMaker's types of machines, and Compute Engine's.
INSTANCE_TYPE = r"ml\.[a-z0-9-]+\.[a-z0-9-]+"
MACHINE_TYPE = r"[a-z0-9]+(-[a-z0-9]+)+"


class Section(BaseModel):
    """Whole or refused: no unknown key, no value of another type."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")
