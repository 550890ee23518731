"""Whatever is admitted and compiled is inside the module's limits: no policy can make sidecars refuse their configuration."""

import ctypes
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mesh.api import circuit_breaker, http_route_group, patterns, rate_limit, traffic_split
from mesh.api.kinds import POLICY_PARSERS
from mesh.api.policy import Policy
from mesh.compiler.assemble import Compiler
from mesh.model.snapshot import ServicePortSpec, Snapshot
from mesh.sidecar import nginx_state
from tests.property import clusters
from tests.unit.compiler.cluster import backed, config, namespace, pod, service

# Of a character that is written as three, as many as fit.
_LONGEST_PATTERN = "%" * patterns.LONGEST_BYTES
_METHODS = [f"{number:0{http_route_group.LONGEST_METHOD}}" for number in range(http_route_group.MOST_METHODS)]
_HEADER = "x" * http_route_group.LONGEST_HEADER_NAME
_NAME = "n" * 253
CALLER = pod("caller", "10.1.0.200")
SHOP = (CALLER, *backed("web", "10.0.0.1", 1), *backed("cart", "10.0.0.2", 2))


def read(kind: str, version: str, spec: dict[str, Any], name: str = _NAME) -> Policy[Any]:
    metadata = {"name": name, "namespace": "shop", "creationTimestamp": "2026-01-01T00:00:00Z"}
    return POLICY_PARSERS[kind]({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": spec})


def up_to(most: int, least: int = 0) -> st.SearchStrategy[int]:
    return st.sampled_from([least, most - 1, most]) | st.integers(least, most)


def refusal(library: ctypes.CDLL, document: str) -> str:
    found: bytes = library.driver_open(document.encode())
    return found.decode()


@pytest.mark.spec("7.bounds")
def test_the_highest_values_that_parsers_take_are_taken_by_the_module(library: ctypes.CDLL) -> None:
    """Weights, rates, bursts, delays, errors, times, the longest patterns, methods and names."""

    @settings(max_examples=100)
    @given(
        up_to(traffic_split.HEAVIEST, 1),
        up_to(circuit_breaker.MOST_ERRORS, 1),
        up_to(circuit_breaker.LONGEST_SECONDS, 1),
        up_to(rate_limit.HIGHEST, 1),
        st.sampled_from("sm"),
        up_to(rate_limit.HIGHEST),
        up_to(rate_limit.HIGHEST) | st.just(rate_limit.NODELAY),
        up_to(patterns.LONGEST_BYTES, 1),
    )
    @example(
        traffic_split.HEAVIEST,
        circuit_breaker.MOST_ERRORS,
        circuit_breaker.LONGEST_SECONDS,
        rate_limit.HIGHEST,
        "s",
        rate_limit.HIGHEST,
        rate_limit.HIGHEST,
        patterns.LONGEST_BYTES,
    )
    def taken(
        weight: int, errors: int, seconds: int, rate: int, unit: str, burst: int, delay: int | str, length: int
    ) -> None:
        match = {
            "name": "m",
            "pathRegex": _LONGEST_PATTERN[:length],
            "methods": _METHODS,
            "headers": {_HEADER: _LONGEST_PATTERN[:length]},
        }
        rules = [{"kind": "HTTPRouteGroup", "name": _NAME}]
        account = {"kind": "ServiceAccount", "name": "web-account"}
        policies = [
            read("HTTPRouteGroup", "specs.smi-spec.io/v1alpha3", {"matches": [match]}),
            read(
                "TrafficSplit",
                "split.smi-spec.io/v1alpha3",
                {
                    "service": "web",
                    "matches": rules,
                    "backends": [{"service": "cart", "weight": weight}, {"service": "web", "weight": weight}],
                },
            ),
            read(
                "TrafficTarget",
                "access.smi-spec.io/v1alpha2",
                {
                    "destination": account | {"port": 65535},
                    "sources": [{"kind": "ServiceAccount", "name": _NAME}],
                    "rules": rules,
                },
            ),
            read(
                "RateLimit",
                "specs.smi.nginx.com/v1alpha2",
                {
                    "name": "limit",
                    "destination": {"kind": "Service", "name": "web"},
                    "rate": f"{rate}r/{unit}",
                    "burst": burst,
                    "delay": delay,
                    "rules": rules,
                },
            ),
            read(
                "CircuitBreaker",
                "specs.smi.nginx.com/v1alpha1",
                {
                    "destination": {"kind": "Service", "name": "web", "namespace": "shop"},
                    "errors": errors,
                    "timeoutSeconds": seconds,
                },
            ),
        ]
        found = config(namespace(*SHOP, *policies), group=f"{1:016x}")
        document = nginx_state.render(found, "1.1")
        written = {line.split("\t")[0] for line in document.splitlines()}
        assert {"split_match", "share", "target_match", "limit_match", "guard", "header"} <= written
        assert refusal(library, document) == ""

    taken()


@pytest.mark.spec("7.bounds")
def test_what_is_compiled_of_random_clusters_is_taken_by_the_module(library: ctypes.CDLL) -> None:
    """Every document of every group, with faulty and contradicting policies among them."""

    @settings(max_examples=60)
    @given(clusters.snapshots())
    def taken(snapshot: Snapshot) -> None:
        for found in Compiler().compile(snapshot).configs.values():
            assert refusal(library, nginx_state.render(found, "1.1")) == ""

    taken()


@pytest.mark.spec("7.bounds")
def test_more_circuits_than_a_sidecar_remembers_are_taken(library: ctypes.CDLL) -> None:
    """Those beyond 2,048 are in the configuration all the same, and it holds."""
    count = 2_100
    items: list[Any] = [CALLER]
    for number in range(count):
        address = f"10.0.{number >> 8}.{number & 255}"
        items.append(service(f"web-{number}", address, ServicePortSpec(80, 8080, "http")))
        spec = {
            "destination": {"kind": "Service", "name": f"web-{number}", "namespace": "shop"},
            "errors": circuit_breaker.MOST_ERRORS,
            "timeoutSeconds": 60,
        }
        items.append(read("CircuitBreaker", "specs.smi.nginx.com/v1alpha1", spec, f"fuse-{number}"))
    document = nginx_state.render(config(namespace(*items)), "1.1")
    assert document.count("\nbreaker\t") == count
    assert refusal(library, document) == ""
