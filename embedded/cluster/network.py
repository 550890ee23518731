"""The cluster's network namespaces and links.

Host and nodes hang on one bridge in a namespace of its own, so the host's packet filter never sees traffic between
nodes. Nodes route each other's pods directly and have no default route: what is not the cluster is unreachable at once.
"""

import json
from collections.abc import Iterator

from embedded.cluster import addresses, commands, requirements

Command = tuple[str, ...]


def create(plan: addresses.Plan) -> None:
    """Make namespaces, links, addresses and routes of *plan*; nothing of them may exist yet."""
    if not requirements.BRIDGE_FILTER.exists():
        commands.run("modprobe", "br_netfilter")
    for command in creation(plan):
        commands.run(*command)


def creation(plan: addresses.Plan) -> Iterator[Command]:
    """Commands that make the network of *plan*, in order."""
    switch = plan.switch_namespace
    slot = plan.slot
    yield ("ip", "netns", "add", switch)
    yield ("ip", "-n", switch, "link", "add", "segment", "type", "bridge")
    yield ("ip", "-n", switch, "link", "set", "segment", "up")
    yield from _attach(switch, "host", ("name", slot.host_link))
    yield ("ip", "address", "add", f"{slot.host_address}/{slot.segment.prefixlen}", "dev", slot.host_link)
    yield ("ip", "link", "set", slot.host_link, "up")
    for node in plan.nodes:
        yield from _node(plan, node)
    for node in plan.nodes:
        yield ("ip", "route", "add", str(node.pods), "via", str(node.address))
    yield ("ip", "route", "add", str(slot.services), "via", str(plan.nodes[0].address))


def _attach(switch: str, port: str, peer: Command) -> Iterator[Command]:
    yield ("ip", "link", "add", *peer, "type", "veth", "peer", "name", port, "netns", switch)
    yield ("ip", "-n", switch, "link", "set", port, "master", "segment", "up")


def _node(plan: addresses.Plan, node: addresses.Node) -> Iterator[Command]:
    inside = ("ip", "-n", node.namespace)
    yield ("ip", "netns", "add", node.namespace)
    yield from _attach(plan.switch_namespace, f"node{node.number}", ("name", "eth0", "netns", node.namespace))
    yield (*inside, "link", "set", "lo", "up")
    yield (*inside, "address", "add", f"{node.address}/{plan.slot.segment.prefixlen}", "dev", "eth0")
    yield (*inside, "link", "set", "eth0", "up")
    # A process of the node that calls a Service needs a route before kube-proxy can rewrite the address.
    yield (*inside, "route", "add", str(plan.slot.services), "dev", "eth0")
    for other in plan.nodes:
        if other is not node and other.number != node.number:
            yield (*inside, "route", "add", str(other.pods), "via", str(other.address))
    settings = ("net.ipv4.ip_forward=1", "net.bridge.bridge-nf-call-iptables=1")
    yield ("nsenter", f"--net=/run/netns/{node.namespace}", "sysctl", "--quiet", "--write", *settings)


def remove(name: str, slot: addresses.Slot) -> None:
    """Take away every namespace of the cluster *name* and the host's link of its slot; routes go with the link."""
    for namespace in namespaces():
        if addresses.is_namespace_of(name, namespace):
            commands.run("ip", "netns", "delete", namespace)
    if slot.host_link in _links():
        commands.run("ip", "link", "delete", slot.host_link)


def namespaces() -> list[str]:
    """Named network namespaces of the machine."""
    return [str(entry["name"]) for entry in json.loads(commands.run("ip", "-json", "netns", "list") or "[]")]


def _links() -> list[str]:
    return [str(entry["ifname"]) for entry in json.loads(commands.run("ip", "-json", "link", "show"))]
