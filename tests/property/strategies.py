"""Random values of the model, shared by the property tests."""

from hypothesis import strategies as st

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
)
pod_names = st.builds("{}/{}".format, dns_labels, dns_labels)
pod_addresses = st.builds(
    PodAddress, addresses, identities, st.lists(st.tuples(ports, protocols), max_size=3).map(tuple), pod_names
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
)
