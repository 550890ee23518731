"""Services that stand at the server's addresses, one or more each: what splits and circuits divide."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from tests.nginx import grpc_application
from tests.nginx.conftest import APPLICATION_PORT, SERVER_ID, SERVICE_PORT, Pair
from tests.nginx.documents import Document, Match, To
from tests.nginx.grpc_application import Caller, calling
from tests.nginx.sidecar import Client

GRPC_PORT = 9090


class Divided:
    """A document of the client's: Services by name, at addresses of the server and with a cluster IP each.

    The first one is what ``pair.caller()`` calls.
    """

    def __init__(
        self,
        pair: Pair,
        services: Mapping[str, Sequence[int]],
        protocol: str = "http",
        port: int = APPLICATION_PORT,
        lb: str = "round_robin",
    ) -> None:
        self.document = Document(mode="strict")
        self.numbers = {name: number for number, name in enumerate(services)}
        self._pair = pair
        for number, (name, hosts) in enumerate(services.items()):
            to = [To(pair.server.pod.addresses[host], port, SERVER_ID, f"shop/{name}-0") for host in hosts]
            address = pair.network.service_address(200 + number)
            self.document.service(f"shop/{name}", address, SERVICE_PORT, to, protocol, lb)

    def split(self, root: str, shares: Mapping[str, int], matches: Sequence[Match] = ()) -> "Divided":
        """Divide *root*."""
        numbered = [(self.numbers[name], weight) for name, weight in shares.items()]
        self.document.split(self.numbers[root], f"shop/split-{root}", numbered, matches)
        return self

    def breaker(self, guarded: str, errors: int, milliseconds: int, fallback: str = "") -> "Divided":
        """Guard a Service."""
        to = self.numbers[fallback] if fallback else None
        self.document.breaker([self.numbers[guarded]], f"shop/breaker-{guarded}", errors, milliseconds, to)
        return self

    def apply(self) -> "Divided":
        """The client's sidecar takes it over."""
        self._pair.client.apply(self.document)
        return self


def caller(pair: Pair, number: int = 0) -> Client:
    """A connection of the client's application to the Service of that number."""
    return Client(pair.client.pod, pair.network.service_address(200 + number), SERVICE_PORT)


def answering(pair: Pair, count: int, client: Client, **request: object) -> list[int]:
    """The server's addresses, by number, that answered so many requests."""
    places = {address: number for number, address in enumerate(pair.server.pod.addresses)}
    headers = dict[str, str](request.get("headers") or {})  # type: ignore[call-overload]
    method, path = str(request.get("method", "GET")), str(request.get("path", "/"))
    return [places[client.request(method, path, headers=headers).echo["local"]] for _ in range(count)]


def upstreams(pair: Pair, name: str = "nginxplus_upstream_server_requests") -> Counter[str]:
    """What the client's sidecar counted, by upstream."""
    counted: Counter[str] = Counter()
    for series, value in pair.client.metrics().items():
        if series.startswith(name + "{"):
            counted[series.partition('upstream="')[2].partition('"')[0]] += int(value)
    return counted


def circuit(pair: Pair, policy: str = "shop/breaker-server") -> dict[str, object]:
    """What the client's sidecar says of a circuit."""
    [found] = [each for each in pair.client.status()["circuits"] if each["policy"] == policy]
    return dict(found)


def refused(pair: Pair) -> int:
    """How many calls an open circuit refused."""
    prefix = 'nginx_mesh_refusals_total{direction="outgoing",reason="circuit_open"'
    return int(sum(value for name, value in pair.client.metrics().items() if name.startswith(prefix)))


@contextmanager
def grpc_calls(pair: Pair) -> Iterator[Caller]:
    """A gRPC application behind the server's sidecar, and a caller of the client's first Service."""
    pair.server.apply(Document(incoming={GRPC_PORT: "grpc"}))
    address = pair.network.service_address(200)
    with grpc_application.serve(pair.server.pod, GRPC_PORT), calling(pair.client.pod, address, SERVICE_PORT) as caller:
        yield caller
