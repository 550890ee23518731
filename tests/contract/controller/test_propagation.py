"""Changes on their way from the API server to many sidecars, each of a group of its own (contract 4.deltas).

The short form of `make bench-propagation SUBSCRIBERS="20 200"`, which says how long it takes.
"""

import asyncio
from contextlib import AsyncExitStack

import pytest

from mesh.model.policy import Share
from tests.contract.controller.cluster import Cluster, wait_until_ready
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import SIDECAR_NAME
from tests.fakes.subscriber import Subscriber

SIDECARS = 20
WITHIN = 60.0


def weights(subscriber: Subscriber) -> list[tuple[int, ...]]:
    """The weights of the splits of Service web."""
    services = subscriber.state.config.services if subscriber.state.config else ()
    shares: list[tuple[Share, ...]] = [split.shares for row in services for split in row.splits if row.service == "web"]
    return [tuple(share.weight for share in row) for row in shares]


def addresses(subscriber: Subscriber) -> set[str]:
    """The endpoints of Service web."""
    services = subscriber.state.config.services if subscriber.state.config else ()
    return {endpoint.address for row in services for endpoint in row.endpoints if row.service == "web"}


@pytest.mark.spec("4.deltas", "6.endpoints")
async def test_endpoints_and_policies_reach_every_sidecar(cluster: Cluster) -> None:
    """Twenty groups: every one has the endpoints and the weights that were set."""
    for number in range(SIDECARS):
        cluster.make_pod(f"web-{number}", f"10.1.0.{number + 1}", f"{number:016x}")
    cluster.make_service()
    services = f"/api/v1/namespaces/{cluster.shop}/services"
    ports = [{"name": "http", "port": 80}]
    cluster.api.request("POST", services, {"metadata": {"name": "web-v2"}, "spec": {"ports": ports}})
    cluster.set_endpoints(**{"web-0": "10.1.0.1"})
    identity = cluster.authority.issue(f"/ns/{cluster.shop}/sa/web", ("web-0", SIDECAR_NAME))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(cluster.controller())
        await wait_until_ready(cluster, cluster.health_port, WITHIN)
        sidecars = [Subscriber(f"{number:016x}", f"{cluster.shop}/web-{number}") for number in range(SIDECARS)]
        for sidecar in sidecars:
            await stack.enter_async_context(sidecar.connected(cluster.nats.url, identity, cluster.bus_host))
        await eventually(lambda: all(addresses(row) == {"10.1.0.1"} for row in sidecars), "the first", WITHIN)
        for first, second in ((90, 10), (50, 50)):
            await asyncio.to_thread(cluster.set_split, first, second)
            await eventually(lambda: all(weights(row) == [(first, second)] for row in sidecars), "weights", WITHIN)  # noqa: B023
        pods = {"web-0": "10.1.0.1", "web-1": "10.1.0.2"}
        await asyncio.to_thread(cluster.set_endpoints, **pods)
        await eventually(lambda: all(addresses(row) == set(pods.values()) for row in sidecars), "endpoints", WITHIN)
