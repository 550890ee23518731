"""A real API server, a client of ours, and a namespace of its own for each test."""

import secrets
from collections.abc import AsyncIterator, Iterator

import pytest

from mesh.kube import client as kube
from mesh.kube.client import Client
from tests.apiserver import ApiServer, api_server  # noqa: F401 - a fixture


@pytest.fixture
async def client(api_server: ApiServer) -> AsyncIterator[Client]:  # noqa: F811
    """Our client with full rights."""
    async with kube.connect(api_server.kubeconfig) as connected:
        yield connected


@pytest.fixture
def namespace(api_server: ApiServer) -> Iterator[str]:  # noqa: F811
    """The name of a new namespace."""
    name = f"test-{secrets.token_hex(4)}"
    api_server.request("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    api_server.request("DELETE", f"/api/v1/namespaces/{name}")
