"""What one sidecar group must do: the output of the compiler and the input of the agent (design 7).

Values only. Everything is ordered and canonical, so that equal clusters give equal documents and the digest of a
document identifies what a sidecar does.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mesh.api import mtls
from mesh.model.policy import Breaker, Limit, Split, Target
from mesh.model.topology import NO_HINTS, Hints

MtlsMode = mtls.MtlsMode

SERVER_FIRST_MS: Final = 50


class Protocol(StrEnum):
    """How the data plane treats a port (contract 6.protocol)."""

    HTTP = "http"
    GRPC = "grpc"
    TCP = "tcp"
    UDP = "udp"


@dataclass(frozen=True, slots=True, order=True)
class Endpoint:
    """One pod behind a service port.

    ``identity`` is the SPIFFE ID that the pod must prove; empty means that it speaks plaintext (not injected, or
    mTLS off). ``pod`` is ``namespace/name`` where known, for metrics and messages. ``hints`` say whose callers should use
    it.
    """

    address: str
    port: int
    identity: str = ""
    pod: str = ""
    hints: Hints = NO_HINTS


@dataclass(frozen=True, slots=True, order=True)
class ServicePort:
    """One port of one Service: the addresses that clients call and the endpoints that answer.

    ``addresses`` are the cluster IPs, empty for a headless Service (its pods are reached by ``SidecarConfig.pods``).
    ``request_timeout_ms`` is for a whole request with all its attempts, in milliseconds, 0 for none; ``retries`` are
    attempts after the first that failed, of idempotent methods only unless ``retry_non_idempotent``. ``splits`` are in the order
    in which they are tried.
    """

    namespace: str
    service: str
    port: int
    protocol: Protocol
    lb_method: str
    addresses: tuple[str, ...] = ()
    endpoints: tuple[Endpoint, ...] = ()
    request_timeout_ms: int = 0
    retries: int = 0
    retry_non_idempotent: bool = False
    splits: tuple[Split, ...] = ()
    breaker: Breaker | None = None


@dataclass(frozen=True, slots=True, order=True)
class PodAddress:
    """An injected pod called by its own address: who must answer there, and what its declared ports speak.

    ``pod`` is ``namespace/name``. ``headless`` has (port of the pod, ``namespace/name`` of a headless Service, its port) where that
    Service has a split or a breaker: a call of this address and port is a call of that Service.
    """

    address: str
    identity: str
    ports: tuple[tuple[int, Protocol], ...] = ()
    pod: str = ""
    headless: tuple[tuple[int, str, int], ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class IncomingPort:
    """A port of the group's own pods and the protocol that its Services give it."""

    port: int
    protocol: Protocol


@dataclass(frozen=True, slots=True)
class SidecarConfig:
    """Everything that a sidecar of one group must know. ``client_max_body_size`` is in bytes, 0 means no limit.

    ``server_first_ms``: how long a permissive TCP port waits for a caller's first bytes before it takes the server for the
    one who speaks first. ``node_zones`` are (node, zone) of the nodes that the group's pods run on, where an endpoint hints at zones.
    ``access_enforced``: only what ``targets`` allow comes in. ``limits`` are those of the group's pods.
    """

    trust_domain: str
    mtls_mode: MtlsMode
    client_max_body_size: int
    error_log_level: str
    log_format: str
    access_control_mode: str
    incoming: tuple[IncomingPort, ...] = ()
    services: tuple[ServicePort, ...] = ()
    pods: tuple[PodAddress, ...] = ()
    transparent: bool = False
    server_first_ms: int = SERVER_FIRST_MS
    node_zones: tuple[tuple[str, str], ...] = ()
    access_enforced: bool = False
    targets: tuple[Target, ...] = ()
    limits: tuple[Limit, ...] = ()
