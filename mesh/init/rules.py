"""The packet rules that lead a pod's TCP through its sidecar, as text for iptables-restore (contract 5.redirect). Pure.

Outgoing connections go to 8900, incoming ones to 8901, both by REDIRECT, so that NGINX reads the original destination
from the socket. Everything is in chains of our own: written twice is written once. What is left alone:

- what the sidecar itself sends (uid 2102), also what it hands to the application;
- what stays inside the pod: the loopback device, which also carries calls to the pod's own addresses;
- DNS over TCP both ways (who asks does so past its sidecar, so a server of DNS must be asked past its own), metrics (a
  Prometheus may have a sidecar itself), the ports named by the pod's annotations, and incoming probes.

A packet out of the window is INVALID to connection tracking: it would reach the pod without its translation, at a port
where no such connection is, and be answered by a reset. So it is dropped (kubernetes #74839).

A caller may use one source port towards two ports of the pod. Both become connections to 8901, which differ in nothing
then; the kernel's translation gives the second one another source port towards NGINX.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from mesh.api import names

CHAIN_OUTGOING = "MESH_OUTGOING"
CHAIN_INCOMING = "MESH_INCOMING"
CHAIN_INVALID = "MESH_INVALID"
# Served by the sidecar to callers outside the mesh: Prometheus and the kubelet.
SIDECAR_PORTS = (names.PORT_METRICS, names.PORT_HTTP_PROBES, names.PORT_HTTPS_PROBES)


@dataclass(frozen=True, slots=True)
class Redirection:
    """What this pod leaves alone beyond the usual."""

    ignored_incoming_ports: tuple[int, ...] = ()
    ignored_outgoing_ports: tuple[int, ...] = ()


def render(redirection: Redirection, present: Iterable[str] = ()) -> str:
    """Give the input of ``iptables-restore --noflush``, the same for both families.

    *present* are the lines of iptables-save: a jump to a chain of ours that is there is not made again, while the
    chains themselves are written anew.
    """
    jumps = set(present)
    # Tables are written one after the other: the one that redirects comes last, when all that it needs is there.
    lines = [
        "*mangle",
        f":{CHAIN_INVALID} - [0:0]",
        f"-A {CHAIN_INVALID} -m conntrack --ctstate INVALID -j DROP",
        *_jump("PREROUTING", CHAIN_INVALID, jumps),
        "COMMIT",
        "*nat",
        f":{CHAIN_OUTGOING} - [0:0]",
        f":{CHAIN_INCOMING} - [0:0]",
        *_outgoing(redirection),
        *_incoming(redirection),
        *_jump("OUTPUT", CHAIN_OUTGOING, jumps),
        *_jump("PREROUTING", CHAIN_INCOMING, jumps),
        "COMMIT",
    ]
    return "\n".join(lines) + "\n"


def _outgoing(redirection: Redirection) -> list[str]:
    return [
        f"-A {CHAIN_OUTGOING} -m owner --uid-owner {names.MESH_UID} -j RETURN",
        f"-A {CHAIN_OUTGOING} -o lo -j RETURN",
        *_left_alone(CHAIN_OUTGOING, (names.PORT_DNS, names.PORT_METRICS, *redirection.ignored_outgoing_ports)),
        f"-A {CHAIN_OUTGOING} -p tcp -j REDIRECT --to-ports {names.PORT_OUTGOING}",
    ]


def _incoming(redirection: Redirection) -> list[str]:
    return [
        *_left_alone(CHAIN_INCOMING, (names.PORT_DNS, *SIDECAR_PORTS, *redirection.ignored_incoming_ports)),
        f"-A {CHAIN_INCOMING} -p tcp -j REDIRECT --to-ports {names.PORT_INCOMING}",
    ]


def _left_alone(chain: str, ports: Iterable[int]) -> list[str]:
    return [f"-A {chain} -p tcp -m tcp --dport {port} -j RETURN" for port in dict.fromkeys(ports)]


def _jump(hook: str, chain: str, present: set[str]) -> list[str]:
    rule = f"-A {hook} -p tcp -j {chain}"
    return [] if rule in present else [rule]
