"""The controller against a real API server, bus and Workload API (contract 2.leader, 4, 6.endpoints, 6.meshconfig)."""

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from mesh.api import names
from tests.contract.controller.cluster import GROUP, Cluster, free_port, wait_until_ready
from tests.fakes.eventually import eventually

WEB = "spiffe://example.org/ns/{}/sa/web"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
GUARDS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
WITHIN = 60.0


async def ready(cluster: Cluster) -> None:
    await wait_until_ready(cluster, cluster.health_port, WITHIN)


async def observed(cluster: Cluster, path: str, check: Any, what: str) -> dict[str, Any]:
    """Wait until the object at *path* satisfies *check*."""
    seen: dict[str, Any] = {}
    end = time.monotonic() + WITHIN
    while time.monotonic() < end:
        if cluster.api.exists(path):
            seen = cluster.api.request("GET", path)
            if check(seen):
                return seen
        await asyncio.sleep(0.05)
    raise TimeoutError(f"{what}: {json.dumps(seen)[:2000]}")


@pytest.mark.spec("6.endpoints")
async def test_endpoints_reach_the_sidecar_quickly(cluster: Cluster) -> None:
    """A changed EndpointSlice is at the sidecar of every group that may call it within a moment."""
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.make_pod("web-1", "10.1.0.2")
    cluster.make_service()
    cluster.set_endpoints(**{"web-0": "10.1.0.1"})
    identity = WEB.format(cluster.shop)
    async with cluster.controller():
        await ready(cluster)
        async with cluster.sidecar() as sidecar:
            await eventually(lambda: sidecar.endpoints() == [("10.1.0.1", identity)], "the first configuration")
            started = time.monotonic()
            await asyncio.to_thread(cluster.set_endpoints, **{"web-0": "10.1.0.1", "web-1": "10.1.0.2"})
            await eventually(lambda: len(sidecar.endpoints()) == 2, "the second endpoint", 2)
            print(f"EndpointSlice change to sidecar: {(time.monotonic() - started) * 1000:.0f} ms")
            revisions = [decoded.revision for decoded in sidecar.received]
            assert revisions == sorted(set(revisions))


@pytest.mark.spec("4.late")
async def test_a_late_sidecar_gets_the_last_configuration_without_the_controller(cluster: Cluster) -> None:
    """The bus keeps what was published while the controller ran."""
    cluster.make_pod("web-0", "10.1.0.1")
    async with cluster.controller():
        await ready(cluster)
        async with cluster.sidecar() as sidecar:
            await eventually(lambda: sidecar.received, "the configuration")
    async with cluster.sidecar() as late:
        await eventually(lambda: late.received, "the last configuration")
        assert [pod.address for pod in late.received[-1].config.pods] == ["10.1.0.1"]


@pytest.mark.spec("4.refill")
async def test_an_emptied_bus_is_filled_again_and_dead_groups_are_not(cluster: Cluster) -> None:
    """After the bus has lost everything, and after the controller's restart, it holds what counts now, no more."""
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.make_pod("gone-0", "10.1.0.9", group="f" * 16)
    async with cluster.controller():
        async with cluster.sidecar("f" * 16) as sidecar:
            await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        cluster.nats.kill()
        await cluster.nats.start()
        async with cluster.sidecar("f" * 16) as sidecar:
            await eventually(lambda: sidecar.received, "the configuration again", WITHIN)
            first = sidecar.received[-1].revision
    cluster.api.request("DELETE", f"/api/v1/namespaces/{cluster.shop}/pods/gone-0?gracePeriodSeconds=0")
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received and sidecar.received[-1].revision > first, "a later epoch", WITHIN)
        async with asyncio.timeout(WITHIN):
            while await sidecar.session.last_message(names.config_subject("f" * 16)):
                await asyncio.sleep(0.05)


@pytest.mark.spec("2.leader")
async def test_the_second_replica_takes_over(cluster: Cluster) -> None:
    """Both serve; when the leader ends, the other publishes, under a higher epoch."""
    cluster.make_pod("web-0", "10.1.0.1")
    other = {"api_port": free_port(), "webhook_port": free_port(), "health_port": free_port()}
    async with cluster.sidecar() as sidecar:
        async with cluster.controller():
            await eventually(lambda: sidecar.received, "the first leader's configuration", WITHIN)
            async with cluster.controller("controller-1", **other) as second:
                await wait_until_ready(cluster, other["health_port"], WITHIN)
                assert not second.done()
                _, status = await cluster.fetch(other["api_port"], "/status")
                assert status["replica"].startswith("controller-1_")
                assert status["leader"].startswith("controller-0_")
                assert [row["pod"] for row in status["sidecars"]] == [f"{cluster.shop}/web-0"]
        before = sidecar.received[-1].revision
        async with cluster.controller("controller-1", **other):
            await eventually(lambda: sidecar.received[-1].revision.epoch > before.epoch, "the next leader's", WITHIN)


@pytest.mark.spec("6.settings")
async def test_an_edited_mesh_config_is_obeyed_and_written_back(cluster: Cluster) -> None:
    """Mode and limits reach the sidecars, ConfigMap and ClusterSPIFFEIDs; an impossible edit changes nothing and is told."""
    cluster.make_pod("web-0", "10.1.0.1")
    labels = {names.LABEL_PART_OF: names.PART_OF}
    spiffe_id = {
        "apiVersion": "spire.spiffe.io/v1alpha1",
        "kind": "ClusterSPIFFEID",
        "metadata": {"name": "workloads", "labels": labels},
        "spec": {"spiffeIDTemplate": "spiffe://x"},
    }
    cluster.api.request("POST", "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids", spiffe_id)
    async with cluster.controller(mode_step_seconds=0.1), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        assert sidecar.received[-1].config.mtls_mode == "permissive"
        cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"mode": "strict", "svidTTL": "90m"}}})
        await eventually(lambda: sidecar.received[-1].config.mtls_mode == "strict", "strict", WITHIN)
        path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/meshconfig"

        def is_written(seen: dict[str, Any]) -> bool:
            return '"mode": "strict"' in (seen.get("data") or {}).get("meshconfig.json", "")

        written = await observed(cluster, path, is_written, "the write-back")
        document = json.loads(written["data"]["meshconfig.json"])
        assert document["registry"]["sidecarImage"] == "sidecar:1"
        assert document["mtls"] == {
            "trustDomain": "example.org", "mode": "strict", "svidTTL": "90m", "caTTL": "720h", "caKeyType": "ec-p256",
        }  # fmt: skip
        assert written["data"]["transparent"] == "false"
        path = "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids/workloads"
        await observed(cluster, path, lambda seen: seen["spec"].get("ttl") == "1h30m0s", "the TTL")
        cluster.api.merge(cluster.mesh_config_path, {"spec": {"mtls": {"svidTTL": "999h"}}})
        seen = await observed(cluster, cluster.mesh_config_path, is_refused, "the refusal in the status")
        (accepted,) = [row for row in seen["status"]["conditions"] if row["type"] == "Accepted"]
        assert "svidTTL" in accepted["message"]
        assert sidecar.received[-1].config.mtls_mode == "strict"


def is_refused(seen: dict[str, Any]) -> bool:
    conditions = {row["type"]: row["status"] for row in seen.get("status", {}).get("conditions", [])}
    return (
        conditions.get("Accepted") == "False" and seen["status"]["observedGeneration"] == seen["metadata"]["generation"]
    )


@pytest.mark.spec("6.meshconfig")
async def test_a_mesh_config_that_vanished_is_restored_while_the_mesh_stands(cluster: Cluster) -> None:
    """With the guarding webhook it comes back as it was; without it, the mesh is being removed, and it stays away."""
    guard = {"metadata": {"name": names.VALIDATING_WEBHOOK}, "webhooks": []}
    cluster.api.request("POST", GUARDS, guard)
    cluster.api.merge(cluster.mesh_config_path, {"spec": {"nginxErrorLogLevel": "info"}})
    async with cluster.controller():
        await ready(cluster)
        cluster.api.request("DELETE", cluster.mesh_config_path)
        restored = await observed(cluster, cluster.mesh_config_path, bool, "the MeshConfig")
        assert restored["spec"]["nginxErrorLogLevel"] == "info"
        cluster.api.request("DELETE", f"{GUARDS}/{names.VALIDATING_WEBHOOK}")
        cluster.api.request("DELETE", cluster.mesh_config_path)
        await eventually(lambda: not cluster.api.exists(cluster.mesh_config_path), "its end", WITHIN)
        # The ConfigMap is compared after the MeshConfig: once it is right again, the keeper has been there.
        path = f"/api/v1/namespaces/{cluster.namespace}/configmaps/meshconfig"
        for _ in range(2):
            cluster.api.merge(path, {"data": {"meshconfig.json": "spoilt"}})
            await observed(cluster, path, lambda seen: seen["data"]["meshconfig.json"] != "spoilt", "the ConfigMap")
        assert not cluster.api.exists(cluster.mesh_config_path)


@pytest.mark.spec("3.ca-bundles")
async def test_ca_bundles_are_written_and_restored(cluster: Cluster) -> None:
    """Every labelled webhook trusts our bundle, also after somebody else has written to it; others are left alone."""
    entry = {
        "name": "one.example.org", "clientConfig": {"url": "https://127.0.0.1:1/"}, "sideEffects": "None",
        "admissionReviewVersions": ["v1"], "failurePolicy": "Ignore",
    }  # fmt: skip
    labels = {names.LABEL_SPIFFE_WEBHOOK: "true"}
    ours = {
        "metadata": {"name": names.MUTATING_WEBHOOK, "labels": labels},
        "webhooks": [entry, {**entry, "name": "two.example.org"}],
    }
    cluster.api.request("POST", WEBHOOKS, ours)
    path = f"{WEBHOOKS}/{names.MUTATING_WEBHOOK}"
    bundle = base64.b64encode(cluster.controller_svid().context().bundle_pem).decode()

    def is_right(seen: dict[str, Any]) -> bool:
        return [row["clientConfig"].get("caBundle") for row in seen["webhooks"]] == [bundle, bundle]

    async with cluster.controller():
        seen = await observed(cluster, path, is_right, "the caBundles")
        seen["webhooks"][0]["clientConfig"]["caBundle"] = ""
        cluster.api.request("PUT", path, seen)
        started = time.monotonic()
        seen = await observed(cluster, path, is_right, "the restored caBundle")
        assert time.monotonic() - started < 5
        managers = [row["manager"] for row in seen["metadata"]["managedFields"]]
        assert "nginx-mesh-ca-bundle" in managers
        config_map = f"/api/v1/namespaces/{cluster.namespace}/configmaps/{names.SPIRE_BUNDLE_CONFIGMAP}"
        await observed(
            cluster,
            config_map,
            lambda seen: "BEGIN CERT" in (seen.get("data") or {}).get("bundle.crt", ""),
            "the ConfigMap",
        )


@pytest.mark.spec("3.rotation")
async def test_webhooks_serve_only_with_their_name_and_rotate_live(cluster: Cluster) -> None:
    """Not ready, saying why, until the SVID names the Service; a new SVID is served without a restart."""
    await cluster.workload_api.rotate(cluster.controller_svid("other.svc"))
    async with cluster.controller():
        async with asyncio.timeout(WITHIN):
            while True:
                status, body = await cluster.fetch(cluster.health_port, "/ready")
                if (
                    status == 503
                    and "cluster" not in body["failing"]
                    and "does not name" in body["failing"]["identity"]
                ):
                    break
                await asyncio.sleep(0.05)
        first = cluster.controller_svid()
        await cluster.workload_api.rotate(first)
        await ready(cluster)
        assert await cluster.served_serial() == f"{first.certificate.serial_number:x}"
        second = cluster.controller_svid()
        await cluster.workload_api.rotate(second)
        async with asyncio.timeout(WITHIN):
            while await cluster.served_serial() != f"{second.certificate.serial_number:x}":
                await asyncio.sleep(0.05)


@pytest.mark.spec("5.webhook")
async def test_the_webhook_injects_and_refuses(cluster: Cluster) -> None:
    """Over TLS, as the API server asks: a patch for a good pod, the reason for a bad one, nothing for who opted out."""
    pod = {"metadata": {"generateName": "web-"}, "spec": {"containers": [{"name": "app", "image": "a:1"}]}}
    async with cluster.controller():
        await ready(cluster)
        answer = await cluster.review("/inject", {"namespace": cluster.shop, "object": pod})
        assert answer["allowed"]
        patch = json.loads(base64.b64decode(answer["patch"]))
        (containers,) = [row["value"] for row in patch if row["path"] == "/spec/initContainers"]
        assert [row["image"] for row in containers] == ["init:1", "sidecar:1"]
        bad = {**pod, "metadata": {"annotations": {"config.nsm.nginx.com/mtls-mode": "lax"}}}
        refused = await cluster.review("/inject", {"namespace": cluster.shop, "object": bad})
        assert not refused["allowed"]
        assert "lax" in refused["status"]["message"]
        out = {**pod, "metadata": {"labels": {names.LABEL_AUTO_INJECT: "disabled"}}}
        assert await cluster.review("/inject", {"namespace": cluster.shop, "object": out}) == {
            "uid": "1",
            "allowed": True,
        }
        inside = await cluster.review("/inject", {"namespace": cluster.namespace, "object": pod})
        assert "patch" not in inside
        deletion = {
            "kind": {"kind": "MeshConfig"}, "operation": "DELETE", "name": names.MESH_CONFIG_NAME, "namespace": cluster.namespace,
        }  # fmt: skip
        assert not (await cluster.review("/validate", deletion))["allowed"]


@pytest.mark.spec("4.reports")
async def test_reports_become_status_and_events(cluster: Cluster) -> None:
    """Programmed counts the sidecars that serve what they should; a refusal is an event at the pod."""
    cluster.make_pod("web-0", "10.1.0.1")
    pod = f"{cluster.shop}/web-0"
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        decoded = sidecar.received[-1]
        await sidecar.report(pod, refused="nginx says no")

        def says(text: str) -> Any:
            return lambda seen: any(row["message"] == text for row in seen.get("status", {}).get("conditions", []))

        await observed(cluster, cluster.mesh_config_path, says("0 of 1 sidecars"), "pending")
        async with asyncio.timeout(WITHIN):
            path = f"/api/v1/namespaces/{cluster.shop}/events"
            while "nginx says no" not in [row["message"] for row in cluster.api.request("GET", path)["items"]]:
                await asyncio.sleep(0.05)
        await sidecar.report(pod, revision=str(decoded.revision), digest=decoded.digest, version="9.9")
        await observed(cluster, cluster.mesh_config_path, says("1 of 1 sidecars"), "synced")
        _, status = await cluster.fetch(cluster.api_port, "/status")
        (row,) = status["sidecars"]
        assert (row["pod"], row["group"], row["state"], row["wanted_revision"]) == (
            pod,
            GROUP,
            "synced",
            str(decoded.revision),
        )
        assert (await cluster.fetch(cluster.api_port, "/version"))[1]["nginx-mesh-sidecar"] == ["9.9"]
        await eventually(lambda: sidecar.beacons, "a beacon")


@pytest.mark.spec("2.recovery")
async def test_an_outage_of_the_api_server_is_survived(cluster: Cluster) -> None:
    """Sidecars keep what they have; what changed is published once the API server is back."""
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.make_service()
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the configuration", WITHIN)
        cluster.api.stop_api_server()
        # Not in a thread: the kernel ends the server with the thread that started it.
        cluster.api.start_api_server()
        await asyncio.to_thread(cluster.set_endpoints, **{"web-0": "10.1.0.1"})
        await eventually(lambda: len(sidecar.endpoints()) == 1, "the endpoint", 40)
        assert all(decoded.config.pods for decoded in sidecar.received)
