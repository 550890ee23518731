"""The compiled balancer, splits and circuits, made once."""

import ctypes
from collections.abc import Callable

import pytest

from tests.balance import directions as directing
from tests.balance.balancer import Balancer, compiled
from tests.balance.directions import Directions


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return compiled()


@pytest.fixture
def balancer(library: ctypes.CDLL) -> Callable[..., Balancer]:
    """An upstream: method, number of endpoints, seed."""

    def make(method: str, count: int, seed: int = 1) -> Balancer:
        return Balancer(library, method, count, seed)

    return make


@pytest.fixture(scope="session")
def directing_library() -> ctypes.CDLL:
    return directing.compiled()


@pytest.fixture
def directions(directing_library: ctypes.CDLL) -> Directions:
    """Calls of Services; circuits begin closed."""
    return Directions(directing_library)
