"""What is AWS's alone."""

import pytest


@pytest.fixture
def cloud_name() -> str:
    """No other cloud."""
    return "aws"
