"""What sidecars hear of changes: the controller's publisher, the real nats-server, agents without an NGINX (ADR 0013)."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.api import names
from mesh.bus import connection
from mesh.controller import publisher
from mesh.controller.publisher import Publisher
from mesh.model import codec
from mesh.model.reports import SidecarReport
from mesh.model.sidecar_config import Endpoint, IncomingPort, MtlsMode, PodAddress, Protocol, ServicePort, SidecarConfig
from mesh.sidecar import step
from mesh.spiffe import tls
from tests.fakes.authority import Authority
from tests.fakes.eventually import eventually
from tests.fakes.nats_server import CONTROLLER_PATH, HOST, SIDECAR_NAME, NatsServer, write_certificates
from tests.fakes.relay import Relay
from tests.fakes.subscriber import Subscriber, end

AUTHORITY = Authority()
SIDECAR = AUTHORITY.issue("/ns/shop/sa/web", ("web-0", SIDECAR_NAME))
LIMIT_BYTES = 1024
# A server asks each client once, soon after it has come, how far it is: PING, in a TLS record.
GREETING_BYTES = 64
GROUPS = ("a" * 16, "b" * 16, "c" * 16)
OTHER = "d" * 16
MARK = b'{"revision":"1.7777"}'


def cluster(services: int, replicas: int = 5) -> tuple[tuple[ServicePort, ...], tuple[PodAddress, ...]]:
    """As many Services, each with an identity of its own and pods with names as Kubernetes makes them."""
    rows, pods = [], []
    for number in range(services):
        identity = f"spiffe://example.org/ns/team-{number % 7}/sa/service-{number}"
        endpoints = tuple(
            Endpoint(
                f"10.244.{number}.{pod}", 8080, identity, f"team-{number % 7}/service-{number}-5d9c7b6f4-x2x{pod}q"
            )
            for pod in range(replicas)
        )
        rows.append(
            ServicePort(
                f"team-{number % 7}",
                f"service-{number}",
                80,
                Protocol.HTTP,
                "least_time",
                (f"10.96.{number}.1",),
                endpoints,
            )
        )
        pods += [PodAddress(item.address, identity, ((8080, Protocol.HTTP),), item.pod) for item in endpoints]
    return tuple(rows), tuple(sorted(pods))


def configuration(services: tuple[ServicePort, ...], pods: tuple[PodAddress, ...], port: int = 8080) -> SidecarConfig:
    incoming = (IncomingPort(port, Protocol.HTTP),)
    return SidecarConfig("example.org", MtlsMode.STRICT, 0, "warn", "json", "allow", incoming, services, pods)


def with_another_endpoint(config: SidecarConfig, number: int) -> SidecarConfig:
    """The same with one endpoint of a Service in place of another; its pod's identity is one that was not there."""
    service = config.services[number]
    gone = service.endpoints[2]
    name = f"team-0/service-{number}-5d9c7b6f4-new1q"
    new = Endpoint(f"10.244.250.{number}", 8080, f"spiffe://example.org/ns/team-0/sa/new-{number}", name)
    endpoints = tuple(new if row == gone else row for row in service.endpoints)
    services = tuple(replace(row, endpoints=endpoints) if row == service else row for row in config.services)
    left = [row for row in config.pods if row.address != gone.address]
    pods = tuple(sorted([*left, PodAddress(new.address, new.identity, ((8080, Protocol.HTTP),), new.pod)]))
    return replace(config, services=services, pods=pods)


def wanted(configs: dict[str, SidecarConfig]) -> dict[str, tuple[str, SidecarConfig]]:
    return {group: (codec.digest(codec.canonical(config)), config) for group, config in configs.items()}


class Bus:
    """The server, and a controller that leads."""

    def __init__(self, directory: Path) -> None:
        self.server = NatsServer(directory)
        self.reports: list[SidecarReport] = []
        self.publisher = Publisher(self.reports.append)
        write_certificates(directory, AUTHORITY.issue("/ns/nginx-mesh/sa/nats", (HOST,)))

    @asynccontextmanager
    async def led(self, epoch: int = 1) -> AsyncIterator[connection.Session]:
        """Lead for the length of a with statement."""
        context = tls.client_context(AUTHORITY.issue(CONTROLLER_PATH).context())
        async with connection.connect(self.server.url, lambda: context, "controller", HOST) as session:
            tasks = [
                asyncio.create_task(self.publisher.use(session)),
                asyncio.create_task(self.publisher.lead(epoch)),
            ]
            try:
                yield session
            finally:
                await end(*tasks)


@pytest.fixture
async def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bus]:
    # What is counted is what changes cost, not what goes by the clock.
    monkeypatch.setattr(publisher, "BEACON_SECONDS", 600.0)
    monkeypatch.setattr(connection, "PING_SECONDS", 600.0)
    monkeypatch.setattr(step, "SILENCE_SECONDS", 600.0)
    running = Bus(tmp_path)
    await running.server.start()
    yield running
    running.server.kill()


def is_mark(event: step.Event) -> bool:
    return isinstance(event, step.BeaconArrived) and event.payload == MARK


def has(subscriber: Subscriber, config: SidecarConfig) -> bool:
    return subscriber.state.config == config


@pytest.mark.spec("4.deltas")
async def test_a_changed_endpoint_costs_a_kibibyte_in_scope_and_nothing_elsewhere(bus: Bus) -> None:
    """200 Services with 1,000 pods: the bytes that each sidecar's connection carries, encrypted, as they are sent."""
    scope = cluster(200)
    before = {group: configuration(*scope, 8080 + number) for number, group in enumerate(GROUPS)}
    other = configuration(*cluster(3))
    bus.publisher.want(wanted({**before, OTHER: other}))
    async with AsyncExitStack() as stack:
        subscribers = [Subscriber(group, f"shop/{group[0]}-{pod}") for group in (*GROUPS, OTHER) for pod in range(2)]
        relays = [await stack.enter_async_context(Relay(bus.server.port)) for _ in subscribers]
        for subscriber, relay in zip(subscribers, relays, strict=True):
            await stack.enter_async_context(subscriber.connected(relay.url, SIDECAR))
        session = await stack.enter_async_context(bus.led())
        # The report of this change leaves after every reading that was begun before it.
        first = {group: with_another_endpoint(config, 11) for group, config in before.items()} | {
            OTHER: configuration(*cluster(4))
        }
        await eventually(lambda: all(row.state.config for row in subscribers), "the beginning")
        bus.publisher.want(wanted(first))
        digests = {digest for digest, _ in wanted(first).values()}
        await eventually(
            lambda: len({report.pod for report in bus.reports if report.digest in digests}) == len(subscribers),
            "the first change",
        )
        counted = [relay.received for relay in relays]
        readings = [row.readings for row in subscribers]
        heard = [len(row.heard) for row in subscribers]
        second = {group: with_another_endpoint(first[group], 77) for group in GROUPS} | {OTHER: first[OTHER]}
        bus.publisher.want(wanted(second))
        await eventually(lambda: all(has(row, second[row.state.group]) for row in subscribers), "the second change")
        spent = [relay.received - start for relay, start in zip(relays, counted, strict=True)]
        assert [row.readings for row in subscribers] == readings
        # Whatever was sent before this has come when it has.
        await session.publish(names.SUBJECT_PING, MARK)
        await eventually(lambda: all(is_mark(row.heard[-1]) for row in subscribers), "the beacon")
        in_scope = [subscriber.state.group != OTHER for subscriber in subscribers]
        expected = [count + (2 if own else 1) for count, own in zip(heard, in_scope, strict=True)]
        assert [len(row.heard) for row in subscribers] == expected
        limits = [LIMIT_BYTES if own else GREETING_BYTES for own in in_scope]
        assert all(count <= limit for count, limit in zip(spent, limits, strict=True)), spent
        late = Subscriber(GROUPS[0], "shop/late")
        await stack.enter_async_context(late.connected(bus.server.url, SIDECAR))
        await eventually(lambda: has(late, second[GROUPS[0]]), "what the stream keeps")


@pytest.mark.spec("4.deltas")
async def test_many_changes_in_a_row_end_where_the_last_does(bus: Bus) -> None:
    """Each is told as it is found; a sidecar that comes in between reads, and goes on with changes."""
    configs = [configuration(*cluster(20))]
    for number in range(30):
        services = list(configs[-1].services)
        services[number % 20] = replace(services[number % 20], endpoints=services[number % 20].endpoints[1:])
        configs.append(replace(configs[-1], services=tuple(services)))
    async with AsyncExitStack() as stack:
        bus.publisher.want(wanted({GROUPS[0]: configs[0]}))
        await stack.enter_async_context(bus.led())
        first, second = (Subscriber(GROUPS[0], f"shop/{number}") for number in range(2))
        await stack.enter_async_context(first.connected(bus.server.url, SIDECAR))
        await eventually(lambda: has(first, configs[0]), "the first")
        readings = first.readings
        for number, config in enumerate(configs[1:]):
            bus.publisher.want(wanted({GROUPS[0]: config}))
            if number == 15:
                await stack.enter_async_context(second.connected(bus.server.url, SIDECAR))
            await asyncio.sleep(0)
        await eventually(lambda: has(first, configs[-1]) and has(second, configs[-1]), "the last")
        assert first.readings == readings
        bus.publisher.want(wanted({GROUPS[0]: configs[0]}))
        await eventually(lambda: has(first, configs[0]) and has(second, configs[0]), "the way back")


@pytest.mark.spec("4.deltas")
async def test_a_new_leader_with_the_same_configurations_sends_none(bus: Bus) -> None:
    """It names what is current; who has it takes the revision and reads nothing."""
    config = configuration(*cluster(50))
    bus.publisher.want(wanted({GROUPS[0]: config}))
    async with AsyncExitStack() as stack:
        sidecar = Subscriber(GROUPS[0], "shop/web-0")
        async with bus.led(1):
            await stack.enter_async_context(sidecar.connected(bus.server.url, SIDECAR))
            await eventually(lambda: sidecar.state.revision == codec.Revision(1, 1), "the first")
        sidecar.heard.clear()
        async with bus.led(2):
            await eventually(lambda: sidecar.state.revision == codec.Revision(2, 1), "the second leader")
        taken = [event for event in sidecar.heard if isinstance(event, step.DeltaArrived)]
        assert {event.payload for event in taken} == {b""}


@pytest.mark.spec("4.deltas")
async def test_a_large_change_is_sent_whole(bus: Bus) -> None:
    """Another scope altogether: one message with everything, no reading."""
    first, second = configuration(*cluster(20)), configuration(*cluster(20, 2), 9090)
    second = replace(second, services=tuple(replace(row, lb_method="random") for row in second.services))
    bus.publisher.want(wanted({GROUPS[0]: first}))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(bus.led())
        sidecar = Subscriber(GROUPS[0], "shop/web-0")
        await stack.enter_async_context(sidecar.connected(bus.server.url, SIDECAR))
        await eventually(lambda: has(sidecar, first), "the first")
        readings = sidecar.readings
        bus.publisher.want(wanted({GROUPS[0]: second}))
        await eventually(lambda: has(sidecar, second), "the second")
        assert (isinstance(sidecar.heard[-1], step.ConfigArrived), sidecar.readings) == (True, readings)
