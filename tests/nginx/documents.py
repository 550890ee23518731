"""The document `state` as tests write it, independent of the agent's writer (docs/reference/nginx-state.md)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

TRUST_DOMAIN = "example.org"


@dataclass(frozen=True)
class To:
    """An endpoint: identity "" is plaintext."""

    address: str
    port: int
    identity: str = ""
    pod: str = "-"


@dataclass
class Document:
    """Lines between the first and the last; methods add to them and return the document."""

    mode: str = "strict"
    revision: str = "1.1"
    settings: dict[str, object] = field(default_factory=dict)
    incoming: dict[int, str] = field(default_factory=dict)
    _identities: list[str] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _upstreams: int = 0

    def service(
        self,
        name: str,
        address: str,
        port: int,
        endpoints: Sequence[To],
        protocol: str = "http",
        lb: str = "round_robin",
    ) -> "Document":
        """An upstream with its endpoints and the route to it."""
        number = self._upstreams
        self._upstreams += 1
        self._line("upstream", number, name, port, protocol, lb)
        for to in endpoints:
            self._line("endpoint", number, to.address, to.port, self._identity(to.identity), to.pod)
        self._line("route", address, port, number)
        return self

    def request(self, timeout_ms: int = 0, retries: int = 0, methods: str = "idempotent") -> "Document":
        """How requests to the latest upstream are treated."""
        self._line("request", self._upstreams - 1, timeout_ms, retries, methods)
        return self

    def pod(self, to: To, protocol: str = "http") -> "Document":
        """An injected pod at its own address."""
        self._line("pod", to.address, to.port, protocol, self._identity(to.identity), to.pod)
        return self

    def injected(self, address: str) -> "Document":
        """A pod that is known as injected, and has no `pod` line."""
        self._line("injected", address)
        return self

    def render(self) -> str:
        """The text."""
        lines = [f"mesh\t1\t{self.revision}", f"trust_domain\t{TRUST_DOMAIN}", f"mode\t{self.mode}"]
        lines += [f"set\t{key}\t{value}" for key, value in self.settings.items()]
        lines += [f"incoming\t{port}\t{protocol}" for port, protocol in self.incoming.items()]
        lines += [f"identity\t{number}\t{identity}" for number, identity in enumerate(self._identities)]
        lines += self._lines
        return "\n".join([*lines, f"end\t{len(lines)}", ""])

    def _identity(self, identity: str) -> str:
        if not identity:
            return "-"
        if identity not in self._identities:
            self._identities.append(identity)
        return str(self._identities.index(identity))

    def _line(self, *fields: object) -> None:
        self._lines.append("\t".join(map(str, fields)))
