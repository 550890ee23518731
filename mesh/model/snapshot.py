"""The cluster as the mesh sees it: immutable values, pruned to what the compiler reads.

A snapshot is a map of namespaces. A namespace in which nothing has changed is the same object in the next snapshot, so
that its part of the work need not be done again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mesh.api import names
from mesh.api.mesh_config import AccessControlMode, LbMethod, LogFormat, LogLevel
from mesh.api.mtls import MtlsMode
from mesh.api.policy import Policy
from mesh.model.mode_change import ModeChange, settled
from mesh.model.sidecar_config import SERVER_FIRST_MS
from mesh.model.topology import NO_HINTS, Hints


@dataclass(frozen=True, slots=True)
class ContainerPort:
    """A port that a pod declares; ``transport`` is TCP, UDP or SCTP."""

    number: int
    transport: str = "TCP"
    name: str = ""


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod that may have an address. ``group`` is its sidecar group, empty for a pod without a sidecar of ours.

    ``annotations`` holds those of the mesh alone; ``ports`` leaves out the sidecar's own; ``created`` orders pods that
    had the same address, one after the other; ``node`` is empty before the pod is scheduled.
    """

    namespace: str
    name: str
    service_account: str
    group: str = ""
    addresses: tuple[str, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    terminating: bool = False
    created: str = ""
    node: str = ""

    @property
    def key(self) -> str:
        """``namespace/name``."""
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class ServicePortSpec:
    """A port of a Service as declared; ``target`` is a number or the name of a container port."""

    port: int
    target: int | str
    name: str = ""
    transport: str = "TCP"
    app_protocol: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A Service with pods behind it; ``addresses`` are its cluster IPs, none for a headless one.

    ``annotations`` holds those of the mesh alone.
    """

    namespace: str
    name: str
    addresses: tuple[str, ...] = ()
    ports: tuple[ServicePortSpec, ...] = ()
    selector: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_headless(self) -> bool:
        """Whether it is called by the addresses of its pods alone."""
        return not self.addresses


@dataclass(frozen=True, slots=True)
class SliceEndpoint:
    """One endpoint of an EndpointSlice; ``pod`` is the name of the pod in the slice's namespace, where it has one.

    ``ready`` is the slice's word: Kubernetes says so of pods that are ready and do not end, and of all pods of a Service
    that publishes addresses that are not ready.
    """

    addresses: tuple[str, ...]
    pod: str = ""
    ready: bool = True
    hints: Hints = NO_HINTS


@dataclass(frozen=True, slots=True)
class EndpointSlice:
    """Part of the endpoints of ``service``; ``ports`` are (name of the Service's port, transport, number)."""

    namespace: str
    name: str
    service: str
    ports: tuple[tuple[str, str, int], ...] = ()
    endpoints: tuple[SliceEndpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class FaultyPolicy:
    """A policy that no parser takes, and why: it was stored before anybody judged it.

    ``closes`` is the namespace and name of the service account that a TrafficTarget names all the same.
    """

    kind: str
    namespace: str
    name: str
    generation: int
    message: str
    closes: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class NamespaceView:
    """Everything of one namespace, each kind in the order of names. Compared by identity: a changed one is another."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    pods: tuple[Pod, ...] = ()
    services: tuple[Service, ...] = ()
    slices: tuple[EndpointSlice, ...] = ()
    policies: tuple[Policy[Any], ...] = ()
    faulty: tuple[FaultyPolicy, ...] = ()

    @property
    def in_mesh(self) -> bool:
        """Whether the mesh's callers may mean this namespace: it is injected, or has an injected pod."""
        enabled = self.labels.get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_ENABLED
        return enabled or any(pod.group for pod in self.pods)


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """The global settings as the compiler needs them; ``client_max_body_size`` in bytes, 0 for no limit.

    Without ``app_protocol`` the field appProtocol of Service ports counts for nothing, as in NGINX Service Mesh.
    ``transparent``: everything passes unproxied. ``opening``: the way there or back, on which some sidecars are
    transparent already: strict ones accept plaintext, too, and go on calling by mTLS (contract 10.transparent). ``mode_change``:
    how far a change of the mode is, None where ``mtls_mode`` is in force.
    """

    trust_domain: str = names.DEFAULT_TRUST_DOMAIN
    mtls_mode: MtlsMode = MtlsMode.PERMISSIVE
    client_max_body_size: int = 1 << 20
    error_log_level: LogLevel = LogLevel.WARN
    log_format: LogFormat = LogFormat.DEFAULT
    lb_method: LbMethod = LbMethod.LEAST_TIME
    access_control_mode: AccessControlMode = AccessControlMode.ALLOW
    transparent: bool = False
    app_protocol: bool = True
    server_first_ms: int = SERVER_FIRST_MS
    opening: bool = False
    mode_change: ModeChange | None = None

    @property
    def mode(self) -> ModeChange:
        """The global mode, or the step that is in its place."""
        return self.mode_change or settled(self.mtls_mode)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One state of the cluster. ``zones`` has the nodes that are in a zone, and which."""

    settings: MeshSettings = MeshSettings()
    namespaces: Mapping[str, NamespaceView] = field(default_factory=dict)
    zones: Mapping[str, str] = field(default_factory=dict)
