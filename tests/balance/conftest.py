"""The compiled balancer, splits and circuits, made once."""

import ctypes
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.balance import directions as directing
from tests.balance.balancer import Balancer, compiled
from tests.balance.directions import Directions
from tests.nginx import source


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test to run makes the sources: only the tests themselves are timed."""
    for item in items:
        if {"library", "directing_library"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(120, func_only=True))


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory: Path = tmp_path_factory.mktemp("balancer")
    return compiled(source.ensure(), directory)


@pytest.fixture
def balancer(library: ctypes.CDLL) -> Callable[..., Balancer]:
    """An upstream: method, number of endpoints, seed."""

    def make(method: str, count: int, seed: int = 1) -> Balancer:
        return Balancer(library, method, count, seed)

    return make


@pytest.fixture(scope="session")
def directing_library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    directory: Path = tmp_path_factory.mktemp("directions")
    return directing.compiled(source.ensure(), directory)


@pytest.fixture
def directions(directing_library: ctypes.CDLL) -> Directions:
    """Calls of Services; circuits begin closed."""
    return Directions(directing_library)
