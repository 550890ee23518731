"""The compiled limits, made once."""

import ctypes

import pytest

from tests.buckets.library import Limits, compiled


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return compiled()


@pytest.fixture
def limits(library: ctypes.CDLL) -> Limits:
    return Limits(library)
