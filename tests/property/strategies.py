"""Random values of the model, shared by the property tests."""

from hypothesis import strategies as st

from mesh.model.policy import Breaker, HttpMatch, Limit, LimitSource, Share, Split, Target
from mesh.model.sidecar_config import (
    Endpoint,
    IncomingPort,
    MtlsMode,
    PodAddress,
    Protocol,
    ServicePort,
    SidecarConfig,
)
from mesh.model.topology import Hints

dns_labels = st.from_regex(r"[a-z]([a-z0-9-]{0,8}[a-z0-9])?", fullmatch=True)
ports = st.integers(1, 65535)
protocols = st.sampled_from(Protocol)
addresses = st.ip_addresses().map(str)
identities = st.builds("spiffe://example.org/ns/{}/sa/{}".format, dns_labels, dns_labels)

pod_names = st.builds("{}/{}".format, dns_labels, dns_labels)

patterns = st.text(max_size=8)
matches = st.lists(
    st.builds(
        HttpMatch,
        patterns,
        st.lists(st.sampled_from(["GET", "POST", "PURGE"]), max_size=2, unique=True).map(tuple),
        st.dictionaries(dns_labels, patterns, max_size=2).map(lambda headers: tuple(sorted(headers.items()))),
    ),
    max_size=3,
).map(tuple)
splits = st.builds(
    Split, pod_names, st.lists(st.builds(Share, pod_names, ports, st.integers(0, 1000)), max_size=3).map(tuple), matches
)
breakers = st.builds(
    Breaker, pod_names, st.integers(0, 1000), st.integers(0, 86_400), st.none() | st.tuples(pod_names, ports)
)
targets = st.builds(
    Target,
    pod_names,
    st.lists(identities, max_size=3).map(tuple),
    st.just(0) | ports,
    st.booleans(),
    st.booleans(),
    matches,
)
limits = st.builds(
    Limit,
    pod_names,
    st.integers(0, 1 << 53),
    st.integers(0, 1000),
    st.integers(-1, 1000),
    st.sampled_from([503, 429]),
    st.lists(ports, max_size=2).map(tuple),
    st.lists(st.builds(LimitSource, dns_labels, st.lists(pod_names, max_size=2).map(tuple)), max_size=2).map(tuple),
    matches,
    st.lists(pod_names, max_size=2).map(tuple),
)

endpoints = st.builds(
    Endpoint,
    addresses,
    ports,
    st.just("") | identities,
    st.just("") | st.builds("{}/{}".format, dns_labels, dns_labels),
    st.builds(Hints, st.lists(dns_labels, max_size=2).map(tuple), st.lists(dns_labels, max_size=2).map(tuple)),
)
service_ports = st.builds(
    ServicePort,
    dns_labels,
    dns_labels,
    ports,
    protocols,
    st.sampled_from(["round_robin", "random two least_time=last_byte"]),
    st.lists(addresses, max_size=2).map(tuple),
    st.lists(endpoints, max_size=5).map(tuple),
    st.integers(0, 86_400_000),
    st.integers(0, 10),
    st.booleans(),
    st.lists(splits, max_size=2).map(tuple),
    st.none() | breakers,
)
pod_addresses = st.builds(
    PodAddress,
    addresses,
    identities,
    st.lists(st.tuples(ports, protocols), max_size=3).map(tuple),
    pod_names,
    st.lists(st.tuples(ports, pod_names, ports), max_size=2).map(tuple),
)
sidecar_configs = st.builds(
    SidecarConfig,
    st.just("example.org"),
    st.sampled_from(MtlsMode),
    st.integers(0, 1 << 40),
    st.sampled_from(["debug", "emerg"]),
    st.sampled_from(["default", "json"]),
    st.sampled_from(["allow", "deny"]),
    st.lists(st.builds(IncomingPort, ports, protocols), max_size=4).map(tuple),
    st.lists(service_ports, max_size=4).map(tuple),
    st.lists(pod_addresses, max_size=4).map(tuple),
    st.booleans(),
    st.integers(1, 10_000),
    st.dictionaries(dns_labels, dns_labels, max_size=2).map(lambda zones: tuple(sorted(zones.items()))),
    st.booleans(),
    st.lists(targets, max_size=3).map(tuple),
    st.lists(limits, max_size=3).map(tuple),
)
