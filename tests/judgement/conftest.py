"""The compiled judgement, made once."""

import ctypes

import pytest

from tests.judgement.judge import compiled


@pytest.fixture(scope="session")
def library() -> ctypes.CDLL:
    return compiled()
