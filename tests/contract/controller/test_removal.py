"""The end of a mesh, against a real API server and bus (contract 10.removal, 10.transparent, 6.meshconfig)."""

import asyncio
from typing import Any

import pytest

from mesh.api import names
from tests.contract.controller.cluster import Cluster, Sidecar, wait_until_ready
from tests.fakes.eventually import eventually

GUARDS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
WITHIN = 60.0


def condition(cluster: Cluster) -> dict[str, Any]:
    """The MeshConfig's word about transparent proxies."""
    status = cluster.api.request("GET", cluster.mesh_config_path).get("status", {})
    found = [row for row in status.get("conditions", []) if row["type"] == "Transparent"]
    return found[0] if found else {}


def is_held(cluster: Cluster) -> bool:
    return names.MESH_CONFIG_FINALIZER in cluster.api.request("GET", cluster.mesh_config_path)["metadata"].get(
        "finalizers", []
    )


async def acknowledge(cluster: Cluster, sidecar: Sidecar, pod: str) -> None:
    """Say that the newest configuration is applied, as an agent does."""
    decoded = sidecar.received[-1]
    await sidecar.report(
        f"{cluster.shop}/{pod}",
        revision=str(decoded.revision),
        digest=decoded.digest,
        mode=str(decoded.config.mtls_mode),
        transparent=decoded.config.transparent,
    )


async def begin(cluster: Cluster) -> None:
    """Delete the MeshConfig as `pulumi destroy` does: the guard is gone by then."""
    await eventually(lambda: is_held(cluster), "the hold", WITHIN)
    cluster.api.request("DELETE", cluster.mesh_config_path)


@pytest.mark.spec("10.removal")
async def test_the_mesh_config_goes_after_every_acknowledgement(cluster: Cluster) -> None:
    """Strict sidecars open first, then all become transparent; the status says so, and nobody encrypts again after it."""
    cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "strict"}}})
    cluster.make_pod("web-0", "10.1.0.1")
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        assert sidecar.received[-1].config.mtls_mode == "strict"
        await begin(cluster)
        await eventually(lambda: sidecar.received[-1].config.mtls_mode == "permissive", "open proxies", WITHIN)
        assert not sidecar.received[-1].config.transparent
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: sidecar.received[-1].config.transparent, "transparent proxies", WITHIN)
        assert condition(cluster)["status"] == "False"
        path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/meshconfig"
        assert cluster.api.request("GET", path)["data"]["transparent"] == "true"
        version = cluster.api.request("GET", cluster.mesh_config_path)["metadata"]["resourceVersion"]
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)
        collection = cluster.mesh_config_path.rpartition("/")[0]
        seen = await asyncio.to_thread(until_deleted, cluster, collection, version)
        assert [event["object"]["status"]["transparent"] for event in seen if event["type"] == "MODIFIED"][-1]
        assert sidecar.received[-1].config.transparent


def until_deleted(cluster: Cluster, collection: str, version: str) -> list[Any]:
    """Every event from *version* to the deletion."""
    seen = []
    for event in cluster.api.watch(collection, version):
        seen.append(event)
        if event["type"] == "DELETED":
            break
    return seen


@pytest.mark.spec("10.removal")
async def test_a_pod_that_does_not_acknowledge_is_named_and_holds_the_mesh(cluster: Cluster) -> None:
    """After the limit condition and events name it; the object stays until the pod is gone."""
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.make_pod("mute-0", "10.1.0.2")
    async with cluster.controller(removal_seconds=1.0), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        await begin(cluster)
        await eventually(lambda: condition(cluster).get("reason") == "OpeningStopped", "the stop", WITHIN)
        assert f"{cluster.shop}/mute-0" in condition(cluster)["message"]
        assert f"{cluster.shop}/web-0" not in condition(cluster)["message"]
        await eventually(lambda: "OpeningStopped" in reasons(cluster, cluster.namespace), "the event", WITHIN)
        await eventually(lambda: "NotTransparent" in reasons(cluster, cluster.shop), "the pod's event", WITHIN)
        assert not sidecar.received[-1].config.transparent
        cluster.api.request("DELETE", f"/api/v1/namespaces/{cluster.shop}/pods/mute-0?gracePeriodSeconds=0")
        await eventually(lambda: sidecar.received[-1].config.transparent, "transparent proxies", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)


def reasons(cluster: Cluster, namespace: str) -> set[str]:
    """Of every event in *namespace*."""
    return {row["reason"] for row in cluster.api.request("GET", f"/api/v1/namespaces/{namespace}/events")["items"]}


@pytest.mark.spec("10.removal")
async def test_who_says_so_removes_without_acknowledgements(cluster: Cluster) -> None:
    """An annotation ends the wait."""
    cluster.make_pod("mute-0", "10.1.0.2")
    async with cluster.controller():
        await wait_until_ready(cluster, cluster.health_port, WITHIN)
        await begin(cluster)
        await eventually(lambda: condition(cluster).get("reason") == "Opening", "the wait", WITHIN)
        annotation = {names.ANNOTATION_REMOVE_ANYWAY: "true"}
        cluster.api.merge(cluster.mesh_config_path, {"metadata": {"annotations": annotation}})
        await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)


@pytest.mark.spec("10.removal")
async def test_the_next_controller_goes_on_where_the_last_one_stopped(cluster: Cluster) -> None:
    """A controller that ends on the way leaves its phase in the status; nobody is told to encrypt in between."""
    cluster.make_pod("web-0", "10.1.0.1")
    async with cluster.sidecar() as sidecar:
        async with cluster.controller():
            await eventually(lambda: sidecar.received, "the configuration", WITHIN)
            await acknowledge(cluster, sidecar, "web-0")
            await begin(cluster)
            await acknowledge(cluster, sidecar, "web-0")
            await eventually(lambda: sidecar.received[-1].config.transparent, "transparent proxies", WITHIN)
        count = len(sidecar.received)
        async with cluster.controller():
            await eventually(lambda: len(sidecar.received) > count, "the next leader's", WITHIN)
            await acknowledge(cluster, sidecar, "web-0")
            await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)
        assert all(decoded.config.transparent for decoded in sidecar.received[count:])


@pytest.mark.spec("6.meshconfig")
async def test_a_removal_is_taken_back_by_the_guard(cluster: Cluster) -> None:
    """`pulumi up` after a stopped destroy: the MeshConfig comes back, and sidecars proxy again, the open ones first."""
    cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "strict"}}})
    cluster.make_pod("web-0", "10.1.0.1")
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        await begin(cluster)
        await eventually(lambda: sidecar.received[-1].config.mtls_mode == "permissive", "open proxies", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: sidecar.received[-1].config.transparent, "transparent proxies", WITHIN)
        uid = cluster.api.request("GET", cluster.mesh_config_path)["metadata"]["uid"]
        cluster.api.request("POST", GUARDS, {"metadata": {"name": names.VALIDATING_WEBHOOK}, "webhooks": []})
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: not sidecar.received[-1].config.transparent, "proxies again", WITHIN)
        assert sidecar.received[-1].config.mtls_mode == "permissive"
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: sidecar.received[-1].config.mtls_mode == "strict", "strict again", WITHIN)
        assert cluster.api.request("GET", cluster.mesh_config_path)["metadata"]["uid"] != uid
        await eventually(lambda: condition(cluster).get("reason") == "Proxying", "the status", WITHIN)


@pytest.mark.spec("10.transparent")
async def test_the_config_map_makes_proxies_transparent_and_back(cluster: Cluster) -> None:
    """The switch of NSM: key transparent of ConfigMap meshconfig; nothing is removed by it."""
    cluster.make_pod("web-0", "10.1.0.1")
    path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/meshconfig"
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        cluster.api.merge(path, {"data": {"transparent": "true"}})
        await eventually(lambda: sidecar.received[-1].config.transparent, "transparent proxies", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: condition(cluster).get("status") == "True", "the status", WITHIN)
        assert cluster.api.request("GET", cluster.mesh_config_path)["status"]["transparent"]
        cluster.api.merge(path, {"data": {"transparent": "false"}})
        await eventually(lambda: not sidecar.received[-1].config.transparent, "proxies again", WITHIN)
        await acknowledge(cluster, sidecar, "web-0")
        await eventually(lambda: condition(cluster).get("reason") == "Proxying", "the status", WITHIN)


@pytest.mark.spec("10.removal")
async def test_a_namespace_that_ends_is_not_held(cluster: Cluster) -> None:
    """Everything in it goes at once, the controller too; the MeshConfig is let go before that."""
    async with cluster.controller():
        await eventually(lambda: is_held(cluster), "the hold", WITHIN)
        cluster.api.request("DELETE", f"/api/v1/namespaces/{cluster.namespace}")
        await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)


@pytest.mark.spec("5.webhook")
async def test_no_pod_is_injected_while_the_mesh_goes(cluster: Cluster) -> None:
    """Its sidecar would wait for ever; a warning says why there is none."""
    cluster.make_pod("mute-0", "10.1.0.2")
    pod = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}
    async with cluster.controller():
        await wait_until_ready(cluster, cluster.health_port, WITHIN)
        question = {"namespace": cluster.shop, "object": pod}
        assert "patch" in await cluster.review("/inject", question)
        await begin(cluster)
        await eventually(lambda: condition(cluster).get("reason") == "Opening", "the wait", WITHIN)
        async with asyncio.timeout(WITHIN):
            while "patch" in (answer := await cluster.review("/inject", question)):
                await asyncio.sleep(0.05)
        assert answer["allowed"]
        assert "being removed" in answer["warnings"][0]
