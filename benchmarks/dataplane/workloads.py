"""What is asked of every subject: ports, rates, and how a load generator is told. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeVar

PAYLOAD_BYTES = 1024
CONNECTIONS = 16
BYTES_PER_GB = 1e9

Unit = Literal["request", "connection", "byte"]
Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Port:
    """A Service's port, the application's behind it, and what the mesh is told that it speaks."""

    service: int
    application: int
    protocol: Literal["http", "grpc", "tcp"]


HTTP = Port(80, 8080, "http")
GRPC = Port(81, 8081, "grpc")
BULK = Port(82, 8082, "tcp")
# The HTTP application on a port that the mesh carries as TCP: every connection of a client costs a handshake between the proxies.
PLAIN = Port(83, 8083, "tcp")
PORTS = (HTTP, GRPC, BULK, PLAIN)


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of load. *group* is what ``--only`` names; *rate* is operations per second, 0 for as fast as it goes."""

    name: str
    group: str
    title: str
    port: Port
    unit: Unit = "request"
    rate: int = 0
    connections: int = CONNECTIONS
    arguments: tuple[str, ...] = ()
    scales: bool = False
    """Whether it is also measured with many services loaded."""

    @property
    def is_bulk(self) -> bool:
        """Whether our own sender makes the load, and not fortio."""
        return self.unit == "byte"


WORKLOADS = (
    Workload("http1", "http1", "HTTP/1.1, 1 KiB, 16 connections, 1,000 requests/s", HTTP, rate=1000, scales=True),
    Workload("http1-max", "http1", "HTTP/1.1, 1 KiB, 16 connections, as fast as it goes", HTTP),
    Workload("grpc", "grpc", "gRPC unary, 1 KiB, 16 connections, 1,000 requests/s", GRPC, rate=1000),
    Workload("grpc-max", "grpc", "gRPC unary, 1 KiB, 16 connections, as fast as it goes", GRPC),
    Workload("tcp-bulk", "tcp", "TCP, one stream, as fast as it goes", BULK, unit="byte", connections=1),
    Workload(
        "connections-http",
        "connections",
        "HTTP/1.1, a connection per request (pooled between the proxies)",
        HTTP,
        unit="connection",
        arguments=("-keepalive=false",),
    ),
    Workload(
        "connections-tls",
        "connections",
        "TCP, a connection and a full handshake per request",
        PLAIN,
        unit="connection",
        arguments=("-keepalive=false",),
    ),
)
GROUPS = tuple(dict.fromkeys(workload.group for workload in WORKLOADS))


def select(groups: Iterable[str]) -> list[Workload]:
    """The workloads of *groups*, in the order of the table."""
    wanted = set(groups)
    return [workload for workload in WORKLOADS if workload.group in wanted]


def fortio_arguments(workload: Workload, place: str, seconds: float) -> list[str]:
    """What follows ``fortio load`` to call *place*, an address with its port.

    ``-uniform`` spreads the connections' requests evenly instead of sending all at once; 10 µs is the histogram's finest step.
    """
    options = ["-quiet", "-loglevel", "error", "-json", "-", "-p", "50,90,99", "-r", "0.00001", "-uniform"]
    options += ["-qps", str(workload.rate), "-c", str(workload.connections), "-t", f"{seconds}s", *workload.arguments]
    if workload.port.protocol == "grpc":
        return [*options, "-grpc", "-ping", "-payload-size", str(PAYLOAD_BYTES), place]
    return [*options, f"http://{place}/"]


def order(items: list[Item], number: int) -> list[Item]:
    """The order of subjects in round *number*: forth in one, back in the next (ABBA), so that drift hits all alike."""
    return items if number % 2 == 0 else items[::-1]
