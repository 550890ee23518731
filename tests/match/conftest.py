"""The compiled matcher, made once."""

import ctypes

import pytest

from tests.match.matcher import Matcher, compiled


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return compiled()


@pytest.fixture
def matcher(library: ctypes.CDLL) -> Matcher:
    return Matcher(library)
