"""Statuses of policies in a real API server (contract 7.conditions)."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from mesh.api.policy import Policy
from mesh.compiler.outcome import PolicyKey, PolicyOutcome
from mesh.controller.fleet import Fleet
from mesh.controller.policy_writer import ATTEMPTS, FIELD_MANAGER, PolicyWriter
from mesh.controller.watches import Watches
from mesh.kit.supervise import supervise
from mesh.kube import client as kube
from mesh.model.reports import SidecarReport
from mesh.model.snapshot import Pod
from tests.contract.controller.cluster import Cluster
from tests.fakes.eventually import eventually

WITHIN = 30.0
PODS = [Pod("shop", f"web-{number}", "web", "g1", (f"10.1.0.{number + 1}",)) for number in range(8)]


def splits_path(cluster: Cluster) -> str:
    return f"/apis/split.smi-spec.io/v1alpha3/namespaces/{cluster.shop}/trafficsplits"


def make_split(cluster: Cluster, name: str = "canary") -> PolicyKey:
    manifest = {
        "apiVersion": "split.smi-spec.io/v1alpha3",
        "kind": "TrafficSplit",
        "metadata": {"name": name},
        "spec": {"service": "web", "backends": [{"service": "web-v1", "weight": 1}]},
    }
    cluster.api.request("POST", splits_path(cluster), manifest)
    return PolicyKey("TrafficSplit", cluster.shop, name)


def conditions(cluster: Cluster, name: str = "canary") -> dict[str, dict[str, Any]]:
    seen = cluster.api.request("GET", f"{splits_path(cluster)}/{name}")
    return {row["type"]: row for row in seen.get("status", {}).get("conditions", [])}


def message(cluster: Cluster) -> str:
    return str(conditions(cluster).get("Programmed", {}).get("message", ""))


def report(fleet: Fleet, pod: Pod, digest: str) -> None:
    fleet.take_report(SidecarReport(pod.key, pod.group, "1.1", digest), 0.0)


def heard(pods: list[Pod] = PODS) -> Fleet:
    """A fleet that serves something old."""
    fleet = Fleet()
    fleet.expect(pods, {"g1": "d1"}, 0.0)
    for pod in pods:
        report(fleet, pod, "old")
    return fleet


def watching(cluster: Cluster, client: kube.Client, fed: PolicyWriter) -> Watches:
    """What every replica watches; nothing is compiled."""
    installation = {"namespace": cluster.namespace, "mtls": {"trustDomain": "example.org"}}
    return Watches(client, installation, lambda _, __: None, lambda: None, fed.take)


@contextlib.asynccontextmanager
async def writer(
    cluster: Cluster, fleet: Fleet, outcomes: Mapping[PolicyKey, PolicyOutcome]
) -> AsyncIterator[PolicyWriter]:
    """The leader's part, and the watch of TrafficSplits that feeds it, for the length of a with statement."""
    stop = asyncio.Event()
    async with kube.connect(cluster.api.kubeconfig) as client:
        made = PolicyWriter(client, fleet)
        watches = watching(cluster, client, made)
        made.want(outcomes)
        tasks = made.tasks() | {"watch": watches.tasks()["watch TrafficSplits"]}
        task = asyncio.create_task(supervise(tasks, stop))
        try:
            yield made
        finally:
            stop.set()
            await task


@pytest.mark.spec("7.conditions")
async def test_the_status_follows_sidecars_and_nobody_elses_field_is_touched(cluster: Cluster) -> None:
    """0 of 8, 8 of 8, refused: each is written with its time, under a name of its own, and the generation stays."""
    key = make_split(cluster)
    fleet = heard()
    good = PolicyOutcome(True, "Valid", "applied as written", frozenset({"g1"}), 1)
    async with writer(cluster, fleet, {key: good}) as made:
        await eventually(lambda: message(cluster) == "0 of 8 sidecars", "the first status", WITHIN)
        since = conditions(cluster)["Accepted"]["lastTransitionTime"]
        for pod in PODS:
            report(fleet, pod, "d1")
            made.changed()
        await eventually(lambda: message(cluster) == "8 of 8 sidecars", "progress", WITHIN)
        assert conditions(cluster)["Accepted"]["lastTransitionTime"] == since
        made.want({key: PolicyOutcome(False, "SplitCycle", "round it goes", frozenset(), 1)})
        await eventually(lambda: conditions(cluster)["Accepted"]["reason"] == "SplitCycle", "the refusal", WITHIN)
    seen = cluster.api.request("GET", f"{splits_path(cluster)}/canary")
    assert seen["metadata"]["generation"] == 1
    assert seen["status"]["observedGeneration"] == 1
    [owner] = [row for row in seen["metadata"]["managedFields"] if row["manager"] == FIELD_MANAGER]
    assert (owner["operation"], owner["subresource"]) == ("Apply", "status")


@pytest.mark.spec("7.conditions")
async def test_one_watch_feeds_the_compiler_and_the_statuses(cluster: Cluster) -> None:
    """What is written is judged by what is compiled: the leader watches no policy a second time."""
    key = make_split(cluster)
    stop = asyncio.Event()
    async with kube.connect(cluster.api.kubeconfig) as client:
        made = PolicyWriter(client, heard())
        watches = watching(cluster, client, made)
        made.want({key: PolicyOutcome(True, "Valid", "", frozenset({"g1"}), 1)})
        tasks = watches.tasks()
        assert not [name for name in made.tasks() if "watch" in name]
        assert len([name for name in tasks if "TrafficSplit" in name]) == 1
        task = asyncio.create_task(supervise(made.tasks() | {"watch": tasks["watch TrafficSplits"]}, stop))
        await eventually(lambda: message(cluster) == "0 of 8 sidecars", "a status", WITHIN)
        seen = watches.index.policies["TrafficSplit"].get(key.namespace, key.name)
        assert isinstance(seen, Policy)
        assert seen.generation == 1
        stop.set()
        await task


@pytest.mark.spec("7.conditions")
async def test_a_storm_of_reports_is_few_writes(cluster: Cluster) -> None:
    """Every sidecar reports again and again; the object changes about once a second, and ends right."""
    key = make_split(cluster)
    fleet = heard()
    good = PolicyOutcome(True, "Valid", "", frozenset({"g1"}), 1)
    async with writer(cluster, fleet, {key: good}) as made:
        await eventually(lambda: message(cluster) == "0 of 8 sidecars", "the first status", WITHIN)
        version = cluster.api.request("GET", splits_path(cluster))["metadata"]["resourceVersion"]
        started = asyncio.get_running_loop().time()
        for digest in ["old", "d1"] * 100:
            for pod in PODS:
                report(fleet, pod, digest)
                made.changed()
                await asyncio.sleep(0)
        await eventually(lambda: message(cluster) == "8 of 8 sidecars", "the end", WITHIN)
        seconds = asyncio.get_running_loop().time() - started
        writes = await asyncio.to_thread(count_changes, cluster, version)
        assert writes <= seconds + 2, (writes, seconds)


def count_changes(cluster: Cluster, version: str) -> int:
    """How often the split has changed since *version*; a last change of our own ends the count."""
    cluster.api.merge(f"{splits_path(cluster)}/canary", {"metadata": {"labels": {"end": "here"}}})
    for number, event in enumerate(cluster.api.watch(splits_path(cluster), version)):
        if (event["object"]["metadata"].get("labels") or {}).get("end"):
            return number
    raise AssertionError("the watch ended")


@pytest.mark.spec("7.conditions")
async def test_a_refused_write_is_given_up_and_the_others_go_on(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    """A status that the API server does not take costs a handful of tries, not a try for ever."""
    bad, good = make_split(cluster, "bad"), make_split(cluster)
    fleet = heard([])
    # No API server takes a generation of 71 bits.
    impossible = {bad: PolicyOutcome(True, "Valid", "", frozenset(), 1 << 70)}

    def tries() -> int:
        return sum(row.message == "policy status not written" for row in caplog.records)

    async with writer(cluster, fleet, impossible) as made:
        await eventually(lambda: tries() == ATTEMPTS, "the tries", WITHIN)
        made.want({**impossible, good: PolicyOutcome(True, "Valid", "", frozenset(), 1)})
        await eventually(lambda: message(cluster) == "0 of 0 sidecars", "the other's status", WITHIN)
        made.want({**impossible, good: PolicyOutcome(False, "SplitCycle", "", frozenset(), 1)})
        await eventually(lambda: conditions(cluster)["Accepted"]["reason"] == "SplitCycle", "and the next", WITHIN)
    assert tries() == ATTEMPTS
    assert not conditions(cluster, "bad")
