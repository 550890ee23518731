"""`meshctl proxy-status`, on what a controller's fleet says."""

import asyncio
import json
from io import StringIO
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from ruamel.yaml import YAML

from mesh.api import names
from mesh.controller.api import Api
from mesh.controller.fleet import Fleet
from mesh.ctl import proxy_status
from mesh.model.codec import Revision
from mesh.model.reports import SidecarReport
from mesh.model.snapshot import Pod
from tests.unit.ctl.healthy_mesh import FakeCluster, proxy

GROUP = "0123456789abcdef"
WANTED = "ab" * 32
SERVICE = proxy(names.CONTROLLER, names.PORT_CONTROLLER_API, "status")
LEADER = f"/api/v1/namespaces/nginx-mesh/pods/controller-1:{names.PORT_CONTROLLER_API}/proxy/status"


def pod(name: str) -> Pod:
    return Pod("shop", name, "web", GROUP, ("10.0.0.1",))


def report(name: str, revision: str, digest: str, refused: str = "") -> SidecarReport:
    return SidecarReport(f"shop/{name}", GROUP, revision, digest, refused, "7b3f01", 1795240000, "1.2.3")


async def answer(is_leader: bool, replica: str = "controller-1_a1") -> dict[str, Any]:
    """What a controller says of four sidecars, from its own API."""
    fleet = Fleet()
    fleet.expect([pod(name) for name in ("cart-0", "cart-1", "cart-2", "cart-3")], {GROUP: WANTED}, 0.0)
    fleet.take_report(report("cart-0", "3.7", WANTED), 0.0)
    fleet.take_report(report("cart-1", "3.6", "cd" * 32), 0.0)
    fleet.take_report(report("cart-2", "3.6", "cd" * 32, "state:4: upstream: bad"), 0.0)
    facts = {"replica": replica, "leader": "controller-1_a1"}
    api = Api(fleet, lambda group: Revision(3, 7) if is_leader and group == GROUP else None, lambda: facts)
    async with TestClient(TestServer(api.application())) as client:
        found: dict[str, Any] = await (await client.get("/status")).json()
    return found


def asked(is_leader: bool = True, replica: str = "controller-1_a1") -> dict[str, Any]:
    return asyncio.run(answer(is_leader, replica))


@pytest.mark.spec("10.proxy-status")
def test_every_sidecar_has_a_line() -> None:
    """Synced, stale, refused with its reason, silent."""
    document = proxy_status.read(FakeCluster({SERVICE: asked()}), "nginx-mesh")
    for row in document["sidecars"]:
        row["secondsSinceReport"] = None if row["secondsSinceReport"] is None else 12.3
    lines = proxy_status.as_table(document).splitlines()
    assert [line.split() for line in lines] == [
        ["POD", "STATE", "SENT", "ACKNOWLEDGED", "DIGEST", "AGE", "SVID", "SERIAL", "SVID", "EXPIRES"],
        ["shop/cart-0", "synced", "3.7", "3.7", "ab" * 6, "12s", "7b3f01", "2026-11-21T05:46:40Z"],
        ["shop/cart-1", "stale", "3.7", "3.6", "cd" * 6, "12s", "7b3f01", "2026-11-21T05:46:40Z"],
        ["shop/cart-2", "refused", "3.7", "3.6", "cd" * 6, "12s", "7b3f01", "2026-11-21T05:46:40Z"],
        ["shop/cart-3", "silent", "3.7", "-", "-", "-", "-", "-"],
        [],
        ["shop/cart-2:", "state:4:", "upstream:", "bad"],
    ]


@pytest.mark.spec("10.proxy-status")
def test_json_and_yaml_say_the_same() -> None:
    """In a versioned schema, with whole digests."""
    document = proxy_status.read(FakeCluster({SERVICE: asked()}), "nginx-mesh", ["shop/cart-0"])
    (row,) = document["sidecars"]
    assert document["schema"] == "nginx-mesh/proxy-status/v1"
    assert row["sent"] == row["acknowledged"] == {"revision": "3.7", "digest": WANTED}
    assert row["svid"] == {"serial": "7b3f01", "notAfter": "2026-11-21T05:46:40Z"}
    assert json.loads(proxy_status.WRITERS["json"](document)) == document
    assert YAML(typ="safe").load(StringIO(proxy_status.WRITERS["yaml"](document))) == document


@pytest.mark.spec("10.proxy-status")
def test_the_leader_knows_what_was_sent() -> None:
    """The Service leads to any replica; another one than the leader names the leader, and that is asked."""
    follower = asked(is_leader=False, replica="controller-0_b2")
    document = proxy_status.read(FakeCluster({SERVICE: follower, LEADER: asked()}), "nginx-mesh")
    assert {row["sent"]["revision"] for row in document["sidecars"]} == {"3.7"}
    document = proxy_status.read(FakeCluster({SERVICE: follower}), "nginx-mesh")
    assert {row["sent"]["revision"] for row in document["sidecars"]} == {""}
