"""A whole control plane but for the pods: API server, nats-server and Workload API are real, the controller runs inside."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.apiserver import ApiServer, api_server  # noqa: F401 - a fixture
from tests.contract.controller.cluster import Cluster, directory_of
from tests.fakes.authority import Authority
from tests.fakes.nats_server import NatsServer, write_certificates
from tests.fakes.workload_api import WorkloadApi


@pytest.fixture
async def cluster(api_server: ApiServer, tmp_path: Path) -> AsyncIterator[Cluster]:  # noqa: F811
    """A mesh that is installed; the controller is started by the test."""
    authority = Authority()
    bus = directory_of(tmp_path, "nats")
    nats = NatsServer(bus)
    async with WorkloadApi(tmp_path / "agent.sock") as workload_api:
        made = Cluster(api_server, nats, workload_api, authority)
        write_certificates(bus, authority.issue("/ns/nginx-mesh/sa/nats", (made.bus_host,)))
        await nats.start()
        await workload_api.rotate(made.controller_svid())
        made.install()
        yield made
        made.remove()
    nats.kill()
