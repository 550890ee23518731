"""The compiled judgement, made once."""

import ctypes
from pathlib import Path

import pytest

from tests.judgement.judge import compiled
from tests.nginx import source


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test to run makes the sources: only the tests themselves are timed."""
    for item in items:
        if "library" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory: Path = tmp_path_factory.mktemp("judge")
    return compiled(source.ensure(), directory)
