"""Random policies, and requests of every kind of nastiness, that meet often."""

from collections.abc import Sequence

from hypothesis import strategies as st

from mesh.decide.request import Request
from mesh.model.policy import NO_DELAY, Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target
from mesh.model.sidecar_config import Endpoint, IncomingPort, MtlsMode, Protocol, ServicePort, SidecarConfig

PORTS = {80: Protocol.HTTP, 8080: Protocol.GRPC, 5432: Protocol.TCP}
IDENTITIES = tuple(f"spiffe://example.org/ns/{place}" for place in ("a/sa/web", "a/sa/api", "b/sa/web"))
PODS = ("a/web-1", "a/web-2", "b/api-1")
NAMES = ("a", "b", "c", "d", "e")

patterns = st.sampled_from(
    ["^/admin", "admin", "^/$", "/shop/[0-9]+$", "^/(a|b)/", r"\.\.", r"\\", "%", ";", "//", "^/a(?!b)", "b$", "/A", "[^/]b", "é"]
)  # fmt: skip
values = st.sampled_from([b"", b"1", b"beta", b"a, b", b"b"])
value_patterns = st.sampled_from(["", "^1$", "^beta$", "b", "^b, 1"])
methods = st.sampled_from(["GET", "POST", "HEAD", "get"])
headers = st.lists(
    st.tuples(st.sampled_from(["x-user", "X-USER", "cookie", "X-Mesh-Peer-Identity"]), values), max_size=3
)
matches = st.builds(
    HttpMatch,
    st.just("") | patterns,
    st.lists(methods, max_size=2).map(tuple),
    st.dictionaries(st.sampled_from(["x-user", "cookie", "x-mesh-peer-identity"]), value_patterns, max_size=2).map(
        lambda criteria: tuple(sorted(criteria.items()))
    ),
)
match_lists = st.lists(matches, max_size=3).map(tuple)

_PIECES = (
    b"/", b"//", b"/./", b"/../", b"admin", b"/admin", b"shop/", b"12", b"a", b"b", b"A", b"..", b".", b"%2e%2e", b"%2E", b"%2F", b"%2f..",
    b"\\", b"%5c", b";", b";a=b", b"%c0%ae", b"\xc0\xaf", b"\xc3\xa9", b"%C3%A9", b"%25", b"%252e", b"%3f", b"%23", b"+", b"%20", b"%41",
)  # fmt: skip
_ENDS = (b"", b"", b"", b"?", b"?/admin", b"?a=%zz", b"#", b"#/../", b"/..", b"/.")
_FAULTS = (b"%00", b"%", b"%g0", b"%4", b"\0", b" ", b"\t", b"\x7f", b"/../..")
_STARTS = (
    b"/",
    b"/",
    b"/",
    b"//",
    b"http://host",
    b"https://host:8443/",
    b"HTTP://10.0.0.1?",
    b"http://[::1]/",
    b"",
    b"*",
    b"host/",
)
_pieces = st.lists(st.sampled_from(_PIECES), max_size=6).map(b"".join)
sound_targets = st.builds(lambda pieces, end: b"/" + pieces + end, _pieces, st.sampled_from(_ENDS))
targets = sound_targets | st.builds(
    lambda start, pieces, fault, end: start + pieces + fault + end,
    st.sampled_from(_STARTS), _pieces, st.sampled_from((b"", *_FAULTS)), st.sampled_from(_ENDS),
)  # fmt: skip

ports = st.sampled_from(sorted(PORTS))
requests = st.builds(
    lambda port, *rest: Request(port, PORTS[port], *rest),
    ports,
    st.sampled_from(["", *IDENTITIES]),
    st.sampled_from(["", *PODS]),
    methods,
    targets,
    headers.map(tuple),
)

access_targets = st.builds(
    Target,
    st.sampled_from(["a/t1", "a/t2", "a/t3"]),
    st.lists(st.sampled_from(IDENTITIES), max_size=2, unique=True).map(lambda ids: tuple(sorted(ids))),
    st.sampled_from([0, 0, *PORTS]),
    st.booleans(),
    st.booleans(),
    match_lists,
)
limits = st.builds(
    Limit,
    st.sampled_from(["a/l1", "a/l2", "a/l3"]),
    st.sampled_from([166, 16_666, 1_000_000, 3_333_333, 10_000_000, 1_000_000_000]),
    st.integers(0, 5),
    st.integers(0, 5) | st.just(NO_DELAY),
    st.sampled_from([503, 429]),
    st.lists(ports, max_size=2).map(tuple),
    st.lists(
        st.builds(
            LimitSource,
            st.sampled_from(["x", "y"]),
            st.lists(st.sampled_from(PODS), max_size=2, unique=True).map(lambda pods: tuple(sorted(pods))),
        ),
        max_size=2,
    ).map(tuple),
    match_lists,
)
pods = st.builds(
    lambda enforced, targets, limits, transparent: SidecarConfig(
        "example.org", MtlsMode.STRICT, 0, "warn", "default", "allow",
        tuple(IncomingPort(port, protocol) for port, protocol in sorted(PORTS.items())),
        transparent=transparent, access_enforced=enforced, targets=targets, limits=limits,
    ),
    st.sampled_from([True, True, True, False]),
    st.lists(access_targets, max_size=4).map(tuple),
    st.lists(limits, max_size=3).map(tuple),
    st.sampled_from([False, False, False, True]),
)  # fmt: skip
CIRCUITS = tuple(f"a/c-{name}" for name in NAMES)


def breakers_of(policy: str) -> st.SearchStrategy[Breaker]:
    """Breakers that a policy may ask for."""
    fallbacks = st.none() | st.sampled_from(NAMES).map(lambda name: (f"a/{name}", 80))
    return st.builds(Breaker, st.just(policy), st.integers(0, 4), st.integers(0, 3), fallbacks)


open_circuits = st.lists(st.sampled_from(CIRCUITS), max_size=3, unique=True)


def _splits_of(name: str) -> st.SearchStrategy[tuple[Split, ...]]:
    """Backends come later in the alphabet, or are the root itself: no circles."""
    backends: Sequence[str] = NAMES[NAMES.index(name) :]
    shares = st.lists(
        st.builds(lambda backend, weight: Share(f"a/{backend}", 80, weight), st.sampled_from(backends), st.integers(0, 4)),
        max_size=4,
        unique_by=lambda share: share.service,
    )  # fmt: skip
    each = st.builds(Split, st.sampled_from(["a/s1", "a/s2"]), shares.map(tuple), match_lists)
    return st.lists(each, max_size=2).map(tuple)


def _service(name: str) -> st.SearchStrategy[ServicePort]:
    return st.builds(
        lambda protocol, ready, splits, breaker: ServicePort(
            "a", name, 80, protocol, "round_robin",
            endpoints=(Endpoint("10.0.0.1", 8080),) if ready else (), splits=splits, breaker=breaker,
        ),
        st.sampled_from([Protocol.HTTP, Protocol.HTTP, Protocol.TCP]),
        st.sampled_from([True, True, True, False]),
        _splits_of(name),
        st.none() | breakers_of(f"a/c-{name}"),
    )  # fmt: skip


services = st.tuples(*map(_service, NAMES))
"""Services a/a to a/e at port 80; those further ahead in the alphabet may be split over those behind."""
