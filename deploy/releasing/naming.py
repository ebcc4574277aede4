"""What the endpoint beside a deployment's own is called. Pure."""

from deploy.config import Config

CANDIDATE = "candidate"  # its kind in a plan


def candidate_name(name: str) -> str:
    """The endpoint's name. A deployment may have that very name: whose it is, its tag or label says."""
    return f"{name}-candidate"


def named(config: Config, name: str) -> Config:
    """The configuration of an endpoint of that name, which is otherwise the same."""
    return config if name == config.name else config.model_copy(update={"name": name})
