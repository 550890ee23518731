"""A change of the global mode, against a real API server and bus (contract 3.mode-changes)."""

from typing import Any

import pytest

from mesh.api.mesh_config import CONDITION_MODE
from tests.contract.controller.cluster import Cluster, Sidecar
from tests.fakes.eventually import eventually

WITHIN = 60.0
# Longer than any test: who goes on before the acknowledgement fails it.
NEVER = 3600.0


def condition(cluster: Cluster) -> tuple[str, str]:
    """Status and reason of the MeshConfig's word about its mode."""
    status: dict[str, Any] = cluster.api.request("GET", cluster.mesh_config_path).get("status", {})
    found = [row for row in status.get("conditions", []) if row["type"] == CONDITION_MODE]
    return (found[0]["status"], found[0]["reason"]) if found else ("", "")


def told(sidecar: Sidecar) -> tuple[str, bool]:
    """The mode that the sidecar was told last, and whether it is to call Service web by mutual TLS."""
    return str(sidecar.received[-1].config.mtls_mode), all(identity for _, identity in sidecar.endpoints())


async def acknowledge(cluster: Cluster, sidecar: Sidecar) -> None:
    decoded = sidecar.received[-1]
    facts = {"revision": str(decoded.revision), "digest": decoded.digest, "mode": str(decoded.config.mtls_mode)}
    await sidecar.report(f"{cluster.shop}/web-0", svid_serial="7f", **facts)


@pytest.mark.spec("3.mode-changes", "6.in-force")
async def test_each_step_waits_for_the_acknowledgement_and_is_told(cluster: Cluster) -> None:
    """Off to strict and back: what is told, in its order, and what the status says; another replica goes on where one ended."""
    cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "off"}}})
    cluster.make_service()
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.set_endpoints(**{"web-0": "10.1.0.1"})
    up = [("permissive", False, "OffToStrictAccepting"), ("permissive", True, "OffToStrictPermissive")]
    down = [("permissive", True, "StrictToOffPermissive"), ("permissive", False, "StrictToOffAccepting")]

    async def follow(sidecar: Sidecar, steps: list[tuple[str, bool, str]], end: tuple[str, bool, str]) -> None:
        for mode, by_mtls, reason in steps:
            await eventually(lambda want=(mode, by_mtls): told(sidecar) == want, reason, WITHIN)  # type: ignore[misc]
            assert condition(cluster) == ("False", reason)
            await acknowledge(cluster, sidecar)
        mode, by_mtls, reason = end
        await eventually(lambda: told(sidecar) == (mode, by_mtls), reason, WITHIN)
        assert condition(cluster) == ("True", reason)
        await acknowledge(cluster, sidecar)

    async with cluster.sidecar() as sidecar:
        async with cluster.controller(mode_step_seconds=NEVER):
            await eventually(lambda: bool(sidecar.received) and condition(cluster)[1] == "Off", "mode off", WITHIN)
            assert told(sidecar) == ("off", False)
            await acknowledge(cluster, sidecar)
            cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "strict"}}})
            await follow(sidecar, up, ("strict", True, "Strict"))
            cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "off"}}})
            await eventually(lambda: told(sidecar) == ("permissive", True), "the first step", WITHIN)
        async with cluster.controller("controller-1", mode_step_seconds=NEVER):
            epoch = sidecar.received[-1].revision.epoch
            await eventually(lambda: sidecar.received[-1].revision.epoch > epoch, "the next leader's", WITHIN)
            await follow(sidecar, down, ("off", False, "Off"))


@pytest.mark.spec("3.mode-changes")
async def test_a_sidecar_that_says_nothing_stops_no_change(cluster: Cluster) -> None:
    """The change goes on after its time, and an event at the MeshConfig names the pod."""
    cluster.make_pod("web-0", "10.1.0.1")
    async with cluster.controller(mode_step_seconds=0.2), cluster.sidecar() as sidecar:
        await eventually(lambda: condition(cluster)[1] == "Permissive", "the mode", WITHIN)
        cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "strict"}}})
        await eventually(lambda: bool(sidecar.received) and told(sidecar)[0] == "strict", "strict", WITHIN)

        def names_the_pod() -> bool:
            found = cluster.api.request("GET", f"/api/v1/namespaces/{cluster.namespace}/events")["items"]
            return any(
                row["reason"] == "ModeNotAcknowledged" and f"{cluster.shop}/web-0" in row["message"] for row in found
            )

        await eventually(names_the_pod, "the event", WITHIN)
