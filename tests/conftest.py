"""What test files of every folder share."""

from collections.abc import Iterator

import pytest
from jaxtyping import config

collect_ignore = ["conftest.py"]  # for doctests, in which tests/cli has another file of this name


@pytest.fixture(scope="module")
def unchecked() -> Iterator[None]:
    """Annotations are not checked in the files that use this: others do, and it would take most of
    their time, or values come to a door as users give them."""
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", False)
