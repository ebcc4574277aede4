"""Whose the credentials are: everything that deploy.toml names is of one account, and theirs must be it."""

from __future__ import annotations

from deploy.aws import clients
from deploy.aws.clients import told
from deploy.config import Config
from deploy.target import CloudError


@told()
def check(config: Config) -> None:
    """Raise CloudError unless the credentials are of the account of [aws] role. It takes no permission."""
    account = clients.sts(config.aws.region).get_caller_identity()["Account"]
    if account != config.aws.account:
        raise CloudError(
            f"deploy.toml: [aws]: role is of account {config.aws.account}, and these credentials are of "
            f"{account}: write that account into role (and into image), or log in to the other"
        )
