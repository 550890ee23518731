"""Fixtures of the tests that need a real API server."""

from tests.apiserver import api_server  # noqa: F401
