"""Leader election against a real API server (design 8; contract 2.leader)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mesh.kube.client import Client
from mesh.kube.lease import Election
from tests.apiserver import ApiServer
from tests.fakes.eventually import eventually

LEASE = "/apis/coordination.k8s.io/v1/namespaces/{}/leases/leader"


class Candidate:
    """Runs for election; remembers the epochs that it led."""

    def __init__(self, client: Client, namespace: str, identity: str) -> None:
        self.election = Election(client, namespace, "leader", identity, duration=2.0, renew_deadline=1.2, retry=0.2)
        self.epochs: list[int] = []
        self.is_leading = False

    async def lead(self, epoch: int) -> None:
        self.epochs.append(epoch)
        self.is_leading = True
        try:
            await asyncio.Event().wait()
        finally:
            self.is_leading = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Candidate"]:
        task = asyncio.create_task(self.election.run(self.lead))
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


@pytest.mark.spec("2.leader")
async def test_one_leads_and_hands_over_when_it_stops(client: Client, namespace: str) -> None:
    """There is one leader; the next one comes at once when it gives the lease back, with a higher epoch."""
    first, second = Candidate(client, namespace, "first"), Candidate(client, namespace, "second")
    async with second.running():
        async with first.running():
            await eventually(lambda: first.is_leading or second.is_leading, "a leader")
            assert not (first.is_leading and second.is_leading)
            leader, other = (first, second) if first.is_leading else (second, first)
            await eventually(lambda: other.election.leader == leader.election._identity, "the other's notice")
        await eventually(lambda: second.is_leading, "the one that stays", 1.8)
    epochs = sorted(first.epochs + second.epochs)
    assert len(set(epochs)) == len(epochs)
    assert second.epochs[-1] == epochs[-1]


@pytest.mark.spec("2.leader")
async def test_a_dead_leader_is_replaced_when_its_lease_has_run_out(
    client: Client, api_server: ApiServer, namespace: str
) -> None:
    """A holder that renews no more is replaced; its clock, which may be wrong, is never read."""
    spec = {
        "holderIdentity": "dead",
        "leaseDurationSeconds": 1,
        "leaseTransitions": 41,
        "renewTime": "2999-01-01T00:00:00.000000Z",
    }
    collection = LEASE.format(namespace).rpartition("/")[0]
    api_server.request("POST", collection, {"metadata": {"name": "leader"}, "spec": spec})
    async with Candidate(client, namespace, "next").running() as candidate:
        await eventually(lambda: candidate.is_leading, "the next leader")
        assert candidate.epochs == [42]


@pytest.mark.spec("2.leader")
async def test_epochs_grow_even_when_the_lease_is_deleted(
    client: Client, api_server: ApiServer, namespace: str
) -> None:
    """Sidecars refuse what is older than what they have: a new Lease must not begin at 0."""
    async with Candidate(client, namespace, "first").running() as first:
        await eventually(lambda: first.is_leading, "a leader")
    api_server.request("DELETE", LEASE.format(namespace))
    async with Candidate(client, namespace, "second").running() as second:
        await eventually(lambda: second.is_leading, "a leader")
    assert second.epochs[0] >= first.epochs[0] > 100_000_000


@pytest.mark.spec("2.leader")
async def test_who_loses_the_lease_stops_leading(client: Client, api_server: ApiServer, namespace: str) -> None:
    """A lease that another has taken by force ends the work at the next renewal."""
    async with Candidate(client, namespace, "first").running() as first:
        await eventually(lambda: first.is_leading, "a leader")
        api_server.merge(
            LEASE.format(namespace), {"spec": {"holderIdentity": "thief", "leaseTransitions": 999_000_000}}
        )
        await eventually(lambda: not first.is_leading, "the end")
        await eventually(lambda: first.is_leading, "the lease again, once the thief does not renew it")
        assert first.epochs[-1] == 999_000_001


@pytest.mark.spec("2.leader")
async def test_an_unreachable_api_server_ends_the_leadership_in_time(
    client: Client, api_server: ApiServer, namespace: str
) -> None:
    """Before anybody else may take over, the holder has stopped."""
    async with Candidate(client, namespace, "only").running() as only:
        await eventually(lambda: only.is_leading, "a leader")
        api_server.stop_api_server()
        try:
            await eventually(lambda: not only.is_leading, "the end", 2.0)
        finally:
            api_server.start_api_server()
        await eventually(lambda: only.is_leading, "the leader again", 20)
        assert only.epochs[-1] > only.epochs[0]
