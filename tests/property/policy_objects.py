"""Random policies as objects, each read by its kind's parser: they meet often, and often refer to what is not there."""

from typing import Any

from hypothesis import strategies as st

from mesh.api.policy import Policy
from mesh.model.snapshot import FaultyPolicy
from tests.unit.compiler import policies as written

NAMESPACES = ["a", "b", "c"]
APPS = ["x", "y", "z"]
NAMES = ["one", "two"]
GROUPS = ["g1", "g2"]

_days = st.integers(1, 2)
_places = st.sampled_from(["", *(f"{namespace}/" for namespace in NAMESPACES)])
_apps = st.builds(str.__add__, _places, st.sampled_from(APPS))
_accounts = st.builds(str.__add__, _places, st.sampled_from(["default", "special"]))
_pods = st.builds(lambda place, number: f"{place}pod-{number}", _places, st.integers(0, 4))
_references = (
    st.tuples(st.just("Pod"), _pods)
    | st.tuples(st.just("Deployment"), _apps)
    | st.tuples(st.just("Service"), _apps)
    | st.tuples(st.just("DaemonSet"), _apps)
)
_weights = st.dictionaries(st.sampled_from(APPS), st.integers(0, 2), min_size=1).filter(lambda row: any(row.values()))
_matches = st.sampled_from(
    [
        {"name": "read", "methods": ["GET"]},
        {"name": "api", "pathRegex": "/api"},
        {"name": "any", "pathRegex": "*", "headers": {"X-User": "*"}},
    ]
)
_names_of_matches = st.lists(st.sampled_from(["read", "api", "any"]), max_size=2, unique=True)
_http_rules = st.tuples(st.just("HTTPRouteGroup"), st.sampled_from(GROUPS), _names_of_matches)
_rules = st.lists(_http_rules | st.tuples(st.just("TCPRoute"), st.just("t"), st.just([])), max_size=2)


@st.composite
def policies(draw: st.DrawFn, namespace: str) -> tuple[Policy[Any], ...]:
    """The policies of a namespace, none twice."""
    one = st.one_of(
        _splits(namespace), _routes(namespace), _targets(namespace), _limits(namespace), _breakers(namespace)
    )
    rows = draw(st.lists(one, max_size=6))
    return tuple({(policy.kind, policy.name): policy for policy in rows}.values())


def faulty(namespace: str) -> st.SearchStrategy[tuple[FaultyPolicy, ...]]:
    """Sometimes one that no parser takes."""
    return st.sampled_from([(), (), (FaultyPolicy("RateLimit", namespace, "broken", 1, "spec: got nothing"),)])


def _splits(namespace: str) -> st.SearchStrategy[Policy[Any]]:
    return st.builds(
        lambda name, root, weights, groups, day: written.split(
            name, root, weights, *groups, namespace=namespace, day=day
        ),
        st.sampled_from(NAMES),
        st.sampled_from(APPS),
        _weights,
        st.lists(st.sampled_from(GROUPS), max_size=2, unique=True),
        _days,
    )


def _routes(namespace: str) -> st.SearchStrategy[Policy[Any]]:
    return st.builds(
        lambda name, matches: written.routes(name, *matches, namespace=namespace),
        st.sampled_from(GROUPS),
        st.lists(_matches, max_size=2, unique_by=lambda match: str(match["name"])),
    ) | st.just(written.tcp_route("t", namespace=namespace))


def _targets(namespace: str) -> st.SearchStrategy[Policy[Any]]:
    return st.builds(
        lambda name, destination, sources, rules, port, day: written.target(
            name, destination, sources, *rules, port=port, namespace=namespace, day=day
        ),
        st.sampled_from(NAMES),
        _accounts,
        st.lists(_accounts, max_size=2),
        _rules,
        st.sampled_from([None, 80, 8080]),
        _days,
    )


def _limits(namespace: str) -> st.SearchStrategy[Policy[Any]]:
    return st.builds(
        lambda name, destination, sources, rule, delay, day: written.limit(
            name,
            destination,
            *sources,
            namespace=namespace,
            day=day,
            delay=delay,
            rules=[{"kind": kind, "name": group, "matches": matches} for kind, group, matches in rule],
        ),
        st.sampled_from(NAMES),
        _references,
        st.lists(_references, max_size=2),
        st.lists(_http_rules, max_size=1),
        st.sampled_from([0, 3, "nodelay"]),
        _days,
    )


def _breakers(namespace: str) -> st.SearchStrategy[Policy[Any]]:
    def build(name: str, destination: str, fallback: str, errors: int, day: int) -> Policy[Any]:
        takes_over = {"service": fallback} if fallback and not destination.endswith(fallback) else None
        return written.breaker(name, destination, errors=errors, fallback=takes_over, namespace=namespace, day=day)

    return st.builds(build, st.sampled_from(NAMES), _apps, st.sampled_from(["", *APPS]), st.integers(0, 3), _days)
