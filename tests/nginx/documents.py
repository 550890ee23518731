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


def escaped(pattern: str | bytes) -> str:
    """A pattern as a field: what is no printable character, and ``"``, ``%`` and ``\\``, as ``%XX``; ``-`` for none."""
    content = pattern.encode() if isinstance(pattern, str) else pattern
    if content == b"-":
        return "%2D"
    return (
        "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte not in b'"%\\' else f"%{byte:02X}" for byte in content)
        or "-"
    )


@dataclass(frozen=True)
class Match:
    """A match of a route group; patterns are written as the document has them, escaped."""

    path: str = "-"
    methods: str = "-"
    headers: tuple[tuple[str, str], ...] = ()


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
    _numbered: dict[str, list[object]] = field(default_factory=dict)

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

    def split(
        self, upstream: int, policy: str, shares: Sequence[tuple[int, int]], matches: Sequence[Match] = ()
    ) -> "Document":
        """Divide an upstream among (upstream, weight)."""
        numbers = [self._match(match) for match in matches]
        self._line("split", upstream, self._policy("split", policy), "some" if matches else "all")
        for number in numbers:
            self._line("split_match", number)
        for share in shares:
            self._line("share", *share)
        return self

    def breaker(
        self, upstreams: Sequence[int], policy: str, errors: int, milliseconds: int, fallback: int | None = None
    ) -> "Document":
        """One circuit for some upstreams."""
        named = self._policy("breaker", policy)
        number = self._number("breaker", policy)
        self._line("breaker", number, named, errors, milliseconds, "-" if fallback is None else fallback)
        for upstream in upstreams:
            self._line("guard", upstream, number)
        return self

    def headless(self, address: str, port: int, upstream: int) -> "Document":
        """A pod's place as a headless Service."""
        self._line("headless", address, port, upstream)
        return self

    def enforce_access(self) -> "Document":
        """Let in only what targets allow."""
        self._line("access", "enforced")
        return self

    def target(
        self,
        policy: str,
        sources: Sequence[str],
        port: int = 0,
        rules: Sequence[Match] | None = None,
        tcp: bool = False,
    ) -> "Document":
        """Allow sources to call; without *rules* and *tcp* everything."""
        numbers = [self._match(match) for match in rules or ()]
        everything = rules is None and not tcp
        self._line("target", self._policy("target", policy), port, "all" if everything else "some")
        for source in sources:
            self._line("target_source", self._identity(source))
        for number in numbers:
            self._line("target_match", number)
        if tcp:
            self._line("target_tcp")
        return self

    def limit(
        self,
        policy: str,
        microrequests: int,
        burst: int = 0,
        delay: int | str = 0,
        status: int = 503,
        buckets: Sequence[Sequence[str]] = (),
        ports: Sequence[int] = (),
        matches: Sequence[Match] = (),
    ) -> "Document":
        """A rate limit; *buckets* are the pods of each source, none for everyone."""
        numbers = [self._match(match) for match in matches]
        named, number = self._policy("limit", policy), len(self._numbered.setdefault("limit", []))
        self._numbered["limit"].append(policy)
        self._line("limit", number, named, microrequests, burst, delay, status, "named" if buckets else "everyone")
        for bucket, pods in enumerate(buckets):
            for pod in pods:
                self._line("limit_source", bucket, pod)
        for port in ports:
            self._line("limit_port", port)
        for match in numbers:
            self._line("limit_match", match)
        return self

    def matches(self, *matches: Match) -> list[int]:
        """Matches that nothing refers to yet; their numbers."""
        return [self._match(match) for match in matches]

    def line(self, *fields: object) -> "Document":
        """A line of any kind."""
        self._line(*fields)
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

    def _policy(self, kind: str, name: str) -> int:
        known = len(self._numbered.get("policy", ()))
        number = self._number("policy", (kind, name))
        if number == known:
            self._line("policy", number, kind, name)
        return number

    def _match(self, match: Match) -> int:
        known = len(self._numbered.get("match", ()))
        number = self._number("match", match)
        if number == known:
            self._line("match", number, match.path, match.methods)
            for name, pattern in match.headers:
                self._line("header", number, name, pattern)
        return number

    def _number(self, kind: str, value: object) -> int:
        values = self._numbered.setdefault(kind, [])
        if value not in values:
            values.append(value)
        return values.index(value)

    def _line(self, *fields: object) -> None:
        self._lines.append("\t".join(map(str, fields)))
