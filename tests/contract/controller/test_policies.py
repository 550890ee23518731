"""Policies through the whole controller: to the sidecars, into their status, and over its absence (contract 7.conditions)."""

import asyncio
import time
from typing import Any

import pytest

from mesh.api import names
from mesh.model.sidecar_config import SidecarConfig
from tests.contract.controller.cluster import GROUP, Cluster, Sidecar, free_port, wait_until_ready
from tests.fakes.eventually import eventually

WITHIN = 30.0


def path_of(cluster: Cluster, group: str, plural: str, name: str = "") -> str:
    return f"/apis/{group}/namespaces/{cluster.shop}/{plural}" + (f"/{name}" if name else "")


def splits(cluster: Cluster, name: str = "") -> str:
    return path_of(cluster, "split.smi-spec.io/v1alpha3", "trafficsplits", name)


def targets(cluster: Cluster, name: str = "") -> str:
    return path_of(cluster, "access.smi-spec.io/v1alpha2", "traffictargets", name)


def split(weight: int) -> dict[str, Any]:
    return {
        "apiVersion": "split.smi-spec.io/v1alpha3",
        "kind": "TrafficSplit",
        "metadata": {"name": "canary"},
        "spec": {"service": "web", "backends": [{"service": "web", "weight": weight}]},
    }


def target(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "access.smi-spec.io/v1alpha2",
        "kind": "TrafficTarget",
        "metadata": {"name": name},
        "spec": {
            "destination": {"kind": "ServiceAccount", "name": "web"},
            "sources": [{"kind": "ServiceAccount", "name": "caller"}],
        },
    }


def config(sidecar: Sidecar) -> SidecarConfig | None:
    return sidecar.received[-1].config if sidecar.received else None


def weights(sidecar: Sidecar) -> list[int]:
    found = config(sidecar)
    rows = [row for service in found.services for row in service.splits] if found else []
    return [share.weight for row in rows for share in row.shares]


def target_names(sidecar: Sidecar) -> list[str]:
    found = config(sidecar)
    return [row.policy.partition("/")[2] for row in found.targets] if found else []


def limit_names(sidecar: Sidecar) -> list[str]:
    found = config(sidecar)
    return [row.policy.partition("/")[2] for row in found.limits] if found else []


def condition(cluster: Cluster, path: str, kind: str) -> dict[str, Any]:
    rows = cluster.api.request("GET", path).get("status", {}).get("conditions", [])
    return next((row for row in rows if row["type"] == kind), {})


def make_shop(cluster: Cluster) -> None:
    cluster.make_pod("web-0", "10.1.0.1")
    cluster.make_service()
    cluster.set_endpoints(**{"web-0": "10.1.0.1"})


@pytest.mark.spec("7.conditions")
async def test_a_policy_says_when_its_sidecars_serve_it_and_that_is_no_change_of_it(cluster: Cluster) -> None:
    """Accepted at once, programmed with the acknowledgement; writing that publishes nothing."""
    make_shop(cluster)
    cluster.api.request("POST", splits(cluster), split(3))
    path = splits(cluster, "canary")
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: weights(sidecar) == [3], "the split", WITHIN)
        await eventually(lambda: condition(cluster, path, "Accepted").get("status") == "True", "its status", WITHIN)
        newest = sidecar.received[-1]
        assert condition(cluster, path, "Programmed")["message"] == "0 of 1 sidecars"
        await sidecar.report(f"{cluster.shop}/web-0", revision=str(newest.revision), digest=newest.digest)
        await eventually(lambda: condition(cluster, path, "Programmed")["status"] == "True", "its sidecar", WITHIN)
        assert condition(cluster, path, "Programmed")["message"] == "1 of 1 sidecars"
        # A change that matters comes after everything that the status could have caused.
        cluster.api.merge(path, {"spec": split(5)["spec"]})
        await eventually(lambda: weights(sidecar) == [5], "the new weight", WITHIN)
        assert [row.digest for row in sidecar.received].count(newest.digest) == 1


@pytest.mark.spec("7.conditions", "7.events")
async def test_a_policy_that_cannot_be_applied_says_why_and_is_told_by_an_event(cluster: Cluster) -> None:
    """The younger of two limits of one source: NSM's event, not accepted, and the older one rules after a restart, too."""
    make_shop(cluster)
    for name in ("elder", "younger"):
        manifest = {
            "apiVersion": "specs.smi.nginx.com/v1alpha2",
            "kind": "RateLimit",
            "metadata": {"name": name},
            "spec": {"name": name, "destination": {"kind": "Service", "name": "web"}, "rate": "10r/s"},
        }
        cluster.api.request("POST", path_of(cluster, "specs.smi.nginx.com/v1alpha2", "ratelimits"), manifest)
    path = path_of(cluster, "specs.smi.nginx.com/v1alpha2", "ratelimits", "younger")

    def told() -> list[tuple[str, str]]:
        rows = cluster.api.request("GET", f"/api/v1/namespaces/{cluster.shop}/events")["items"]
        return [(row["involvedObject"]["name"], row["reason"]) for row in rows]

    for _ in range(2):
        async with cluster.controller(), cluster.sidecar() as sidecar:
            await eventually(
                lambda: condition(cluster, path, "Accepted").get("reason") == "UpsertRateLimitFailed", "refused", WITHIN
            )
            await eventually(lambda: ("younger", "UpsertRateLimitFailed") in told(), "the event", WITHIN)
            await eventually(lambda: limit_names(sidecar) == ["elder"], "the limit of the older one", WITHIN)
    assert ("elder", "UpsertRateLimitFailed") not in told()


@pytest.mark.spec("5.away")
async def test_what_changed_while_the_controller_was_away_is_in_force_soon_after(cluster: Cluster) -> None:
    """Endpoints and policies made, changed and deleted meanwhile: all of it exact, within 15 s of its start."""
    make_shop(cluster)
    cluster.api.request("POST", splits(cluster), split(3))
    cluster.api.request("POST", targets(cluster), target("old"))
    async with cluster.sidecar() as sidecar:
        async with cluster.controller():
            await eventually(lambda: (weights(sidecar), target_names(sidecar)) == ([3], ["old"]), "all", WITHIN)
        before = len(sidecar.received)
        cluster.make_pod("web-1", "10.1.0.2")
        cluster.set_endpoints(**{"web-1": "10.1.0.2"})
        cluster.api.merge(splits(cluster, "canary"), {"spec": split(7)["spec"]})
        cluster.api.request("DELETE", targets(cluster, "old"))
        cluster.api.request("POST", targets(cluster), target("new"))
        assert len(sidecar.received) == before
        started = time.monotonic()
        async with cluster.controller():
            await eventually(
                lambda: (
                    (weights(sidecar), target_names(sidecar), [row[0] for row in sidecar.endpoints()])
                    == ([7], ["new"], ["10.1.0.2"])
                ),
                "what is now",
                WITHIN,
            )
            print(f"exact {time.monotonic() - started:.1f} s after the controller's start")
            first = sidecar.received[before].config
            # Nothing in between, such as no target where there is one, which would have let everybody in.
            assert [row.policy for row in first.targets] == [f"{cluster.shop}/new"]


@pytest.mark.spec("2.leader", "7.conditions")
async def test_of_two_controllers_one_publishes_policies_and_writes_their_status(cluster: Cluster) -> None:
    """Both compile; only the leader's epoch is heard, and each status is written once."""
    make_shop(cluster)
    other = {"api_port": free_port(), "webhook_port": free_port(), "health_port": free_port()}
    async with cluster.controller(), cluster.sidecar() as sidecar:
        await eventually(lambda: sidecar.received, "the first leader's configuration", WITHIN)
        async with cluster.controller("controller-1", **other):
            await wait_until_ready(cluster, other["health_port"], WITHIN)
            created = cluster.api.request("POST", splits(cluster), split(3))
            await eventually(lambda: weights(sidecar) == [3], "the split", WITHIN)
            path = splits(cluster, "canary")
            await eventually(lambda: condition(cluster, path, "Accepted"), "its status", WITHIN)
            assert {row.revision.epoch for row in sidecar.received} == {sidecar.received[0].revision.epoch}
            cluster.api.merge(path, {"metadata": {"labels": {"end": "here"}}})
            changes = await asyncio.to_thread(count_changes, cluster, created["metadata"]["resourceVersion"])
            assert changes == 1


def count_changes(cluster: Cluster, version: str) -> int:
    """How often the split has changed since *version*, before the label that ends the count."""
    for number, event in enumerate(cluster.api.watch(splits(cluster), version)):
        if (event["object"]["metadata"].get("labels") or {}).get("end"):
            return number
    raise AssertionError("the watch ended")


@pytest.mark.spec("2.leader")
async def test_a_leader_that_does_not_know_of_its_end_is_not_listened_to(cluster: Cluster) -> None:
    """What it still publishes is older than what its successor has: a sidecar that keeps the newest refuses it."""
    make_shop(cluster)
    other = {"api_port": free_port(), "webhook_port": free_port(), "health_port": free_port()}
    async with cluster.sidecar() as sidecar:
        async with cluster.controller():
            await eventually(lambda: sidecar.received, "the first leader's configuration", WITHIN)
            first = sidecar.received[-1]
        async with cluster.controller("controller-1", **other):
            await eventually(lambda: sidecar.received[-1].revision > first.revision, "the next leader's", WITHIN)
            assert sidecar.received[-1].revision.epoch > first.revision.epoch
            last = await sidecar.session.last_message(names.config_subject(GROUP))
            assert last is not None
            assert last.headers[names.HEADER_REVISION] == str(sidecar.received[-1].revision)


@pytest.mark.spec("6.in-force")
async def test_a_ca_ttl_that_the_server_does_not_have_is_said(cluster: Cluster) -> None:
    """The condition names both values; its time says since when."""
    metadata = {"name": f"{names.SPIRE_SERVER}-5f3a9c", "labels": {names.LABEL_NAME: names.SPIRE_SERVER}}
    config_map = {"metadata": metadata, "data": {"server.conf": 'server {\n  ca_ttl = "720h"\n}\n'}}
    cluster.api.request("POST", f"/api/v1/namespaces/{cluster.namespace}/configmaps", config_map)
    path = cluster.mesh_config_path
    async with cluster.controller():
        await eventually(lambda: condition(cluster, path, "InForce").get("status") == "True", "all in force", WITHIN)
        cluster.api.merge(path, {"spec": {"mtls": {"caTTL": "48h"}}})
        await eventually(lambda: condition(cluster, path, "InForce")["status"] == "False", "what waits", WITHIN)
        found = condition(cluster, path, "InForce")
        assert "caTTL 48h waits: the SPIRE server runs with 720h" in found["message"]
        assert found["lastTransitionTime"]
        cluster.api.merge(path, {"spec": {"mtls": {"caTTL": "720h"}}})
        await eventually(lambda: condition(cluster, path, "InForce")["status"] == "True", "the old value", WITHIN)
