"""The passwords of one process."""

from typing import Any

import pytest

from voltgate.gateway.registry.credentials import Passwords


@pytest.fixture
def passwords() -> Any:
    made = Passwords(1, 3, 2)
    yield made
    made.stop()
