"""Which addresses and names a cluster uses: a function of its name, its slot and its number of nodes.

198.18.0.0/15 is set aside for tests of networks (RFC 2544) and never routed beyond the machine. It is cut into sixteen
slots of a /19; a cluster owns one slot:

    +0   /24  the segment that joins the host (.1) and the nodes (.2, .3, ...)
    +8   /21  Services
    +16  /20  pods, one /24 per node
"""

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

RANGE = IPv4Network("198.18.0.0/15")
SLOTS = 16
MAX_NODES = 16
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}(?<!-)")


class ClusterNameError(ValueError):
    """A cluster name that cannot become part of namespace and cgroup names."""


def check_name(name: str) -> str:
    """Return *name*, or raise ClusterNameError when it cannot name a cluster."""
    if _NAME.fullmatch(name) is None:
        takes = "1 to 20 lower case letters, digits and dashes, a letter first, no dash at the end"
        raise ClusterNameError(f'cluster name: got "{name}", takes {takes}')
    return name


@dataclass(frozen=True, slots=True)
class Slot:
    """One /19 of the test range, by number from 0 to 15."""

    number: int

    def __post_init__(self) -> None:
        if not 0 <= self.number < SLOTS:
            raise ValueError(f"slot: got {self.number}, takes 0 to {SLOTS - 1}")

    @property
    def network(self) -> IPv4Network:
        """Every address of the slot."""
        return _part(RANGE, 19, self.number)

    @property
    def segment(self) -> IPv4Network:
        """The link that joins host and nodes."""
        return _part(self.network, 24, 0)

    @property
    def services(self) -> IPv4Network:
        """Cluster addresses of Services."""
        return _part(self.network, 21, 1)

    @property
    def pods(self) -> IPv4Network:
        """Addresses of all pods of all nodes."""
        return _part(self.network, 20, 1)

    @property
    def host_address(self) -> IPv4Address:
        """The host's end of the segment."""
        return self.segment[1]

    @property
    def api_service_address(self) -> IPv4Address:
        """Cluster address of Service kubernetes: the API server takes the first of the range."""
        return self.services[1]

    @property
    def dns_address(self) -> IPv4Address:
        """Cluster address of the DNS server."""
        return self.services[10]

    @property
    def host_link(self) -> str:
        """Name of the host's end of the segment; a link name has at most 15 characters."""
        return f"nm{self.number}-host"


@dataclass(frozen=True, slots=True)
class Node:
    """One node; ``number`` counts from 1, and node 1 also carries the control plane."""

    cluster: str
    slot: Slot
    number: int

    @property
    def name(self) -> str:
        """Name of the Node object."""
        return f"node-{self.number}"

    @property
    def address(self) -> IPv4Address:
        """The node's address on the segment."""
        return self.slot.segment[1 + self.number]

    @property
    def pods(self) -> IPv4Network:
        """Addresses of the pods on this node."""
        return _part(self.slot.pods, 24, self.number - 1)

    @property
    def namespace(self) -> str:
        """Name of the node's network namespace."""
        return f"nm-{self.cluster}-node{self.number}"

    @property
    def cgroup(self) -> str:
        """Path of the node's cgroup in every hierarchy, without a leading slash."""
        return f"nm-{self.cluster}/node{self.number}"


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about a cluster that follows from its name, slot and number of nodes."""

    name: str
    slot: Slot
    node_count: int

    def __post_init__(self) -> None:
        check_name(self.name)
        if not 1 <= self.node_count <= MAX_NODES:
            raise ValueError(f"nodes: got {self.node_count}, takes 1 to {MAX_NODES}")

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes, node 1 first."""
        return tuple(Node(self.name, self.slot, number) for number in range(1, self.node_count + 1))

    @property
    def switch_namespace(self) -> str:
        """Network namespace that holds the segment's bridge."""
        return f"nm-{self.name}-switch"

    @property
    def cgroup(self) -> str:
        """Root of all cgroups of the cluster."""
        return cgroup_of(self.name)

    @property
    def parts_cgroup(self) -> str:
        """Cgroup of the processes that are not in pods; shims inherit it from containerd."""
        return f"{self.cgroup}/parts"

    @property
    def api_url(self) -> str:
        """Where the API server answers, from the host and from every node."""
        return f"https://{self.nodes[0].address}:6443"


def cgroup_of(name: str) -> str:
    """Root cgroup of the cluster *name*."""
    return f"nm-{name}"


def is_namespace_of(name: str, namespace: str) -> bool:
    """Whether the network namespace belongs to the cluster *name*, whatever its number of nodes."""
    return re.fullmatch(rf"nm-{re.escape(name)}-(switch|node\d+)", namespace) is not None


def _part(network: IPv4Network, prefix: int, index: int) -> IPv4Network:
    size = 1 << (32 - prefix)
    return IPv4Network((int(network.network_address) + index * size, prefix))
