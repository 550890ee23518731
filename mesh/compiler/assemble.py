"""Snapshot in, one configuration per sidecar group out (design 8). Pure: knows no clock and no order of events.

The compiler remembers what it made of each namespace and does that again only for namespaces, or settings, that are
other objects than last time. What it gives never depends on what it remembers.
"""

import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from mesh.api.mesh_config import AccessControlMode
from mesh.api.mtls import MtlsMode
from mesh.compiler.book import Place, PolicyBook, Remarks, collect
from mesh.compiler.directions import (
    CallerDirections,
    Directions,
    callers_policies,
    compile_policies,
    note_called,
    note_routes,
)
from mesh.compiler.endpoints import each_place_once
from mesh.compiler.finding import Finding
from mesh.compiler.namespace import NamespacePart, compile_namespace
from mesh.compiler.namespace_findings import namespace_findings
from mesh.compiler.outcome import PolicyKey, PolicyOutcome
from mesh.compiler.services import ServiceTable
from mesh.model.namespace_annotations import EVERY_NAMESPACE, read_egress_scope
from mesh.model.sidecar_config import Endpoint, PodAddress, ServicePort, SidecarConfig
from mesh.model.snapshot import MeshSettings, NamespaceView, Snapshot


@dataclass(frozen=True, slots=True)
class Compilation:
    """The outcome: what every group must do, what people should know, and what became of each policy."""

    configs: Mapping[str, SidecarConfig]
    findings: tuple[Finding, ...]
    policies: Mapping[PolicyKey, PolicyOutcome] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Scope:
    """What the callers of a namespace may call; shared by all its groups. Strict ones never see a plaintext endpoint."""

    inputs: tuple[NamespacePart, ...]
    directions: CallerDirections
    services: tuple[ServicePort, ...]
    strict_services: tuple[ServicePort, ...]
    pods: tuple[PodAddress, ...]


class Compiler:
    """Compiles one snapshot after the other."""

    def __init__(self) -> None:
        self._settings: MeshSettings | None = None
        self._parts: dict[str, tuple[NamespaceView, NamespacePart]] = {}
        self._scopes: dict[tuple[str, ...], _Scope] = {}

    def compile(self, snapshot: Snapshot) -> Compilation:
        """Give the configuration of every group that has a pod."""
        parts = self._compile_namespaces(snapshot)
        book, remarks = collect(snapshot.namespaces.values()), Remarks()
        services = ServiceTable(snapshot.namespaces, parts)
        directions = compile_policies(book, services, snapshot.settings.trust_domain, remarks)
        note_called(book, directions, _accounts(parts), remarks)
        told = callers_policies(book, remarks)
        identities = _by_address(parts.values())
        scopes: dict[tuple[str, ...], _Scope] = {}
        configs: dict[str, SidecarConfig] = {}
        for name, part in sorted(parts.items()):
            if part.groups:
                members = _callable_namespaces(snapshot.namespaces[name], parts)
                scope = scopes.get(members) or self._scope(members, parts, identities, directions.callers)
                scopes[members] = scope
                configs |= _configs(name, part, scope, snapshot, directions)
                for key in {key for member in members for key in told.get(member, ())}:
                    remarks.concerns(key, part.groups)
        self._scopes = scopes
        note_routes(book, remarks)
        return Compilation(configs, _findings(snapshot, parts, book, remarks), remarks.outcomes(book))

    def _compile_namespaces(self, snapshot: Snapshot) -> dict[str, NamespacePart]:
        if snapshot.settings != self._settings:
            self._parts.clear()
            self._settings = snapshot.settings
        known: dict[str, tuple[NamespaceView, NamespacePart]] = {}
        for name, view in snapshot.namespaces.items():
            if view.in_mesh:
                entry = self._parts.get(name)
                if entry is None or entry[0] is not view:
                    entry = (view, compile_namespace(view, snapshot.settings))
                known[name] = entry
        self._parts = known
        return {name: part for name, (_, part) in known.items()}

    def _scope(
        self,
        members: tuple[str, ...],
        parts: Mapping[str, NamespacePart],
        pods: Mapping[str, PodAddress],
        directions: CallerDirections,
    ) -> _Scope:
        inputs = tuple(parts[name] for name in members)
        before = self._scopes.get(members)
        bare = any(part.has_bare_endpoints for part in inputs)
        same = before is not None and all(old is new for old, new in zip(before.inputs, inputs, strict=True))
        # Bare endpoints may be pods of any namespace, so they are looked up anew.
        if before and same and not bare and before.directions == directions:
            return before
        headless = [
            directions.direct(_resolve(port, pods))
            for name, part in zip(members, inputs, strict=True)
            for service in sorted(place[1] for place in directions.headless if place[0] == name)
            for port in part.by_service.get(service, ())
        ]
        services = tuple(
            directions.direct(_resolve(service, pods) if bare else service)
            for part in inputs
            for service in part.services
        )
        services += tuple(headless)
        proven = tuple(_proven_only(service) for service in services)
        return _Scope(
            inputs,
            directions,
            services,
            services if all(map(operator.is_, services, proven)) else proven,
            directions.direct_pods(sorted(_by_address(inputs).values()), headless),
        )


def _callable_namespaces(view: NamespaceView, in_mesh: Iterable[str]) -> tuple[str, ...]:
    """Which namespaces the callers of *view* get to know: those that its annotation lists, else all of the mesh."""
    listed, _ = read_egress_scope(view.annotations)
    if listed is None or EVERY_NAMESPACE in listed:
        return tuple(sorted(in_mesh))
    return tuple(sorted(name for name in in_mesh if name in listed or name == view.name))


def _by_address(parts: Iterable[NamespacePart]) -> dict[str, PodAddress]:
    ranked = sorted(row for part in parts for row in part.pods)
    return {pod.address: pod for _, pod in ranked}


def _accounts(parts: Mapping[str, NamespacePart]) -> dict[Place, list[str]]:
    """The groups of each service account."""
    accounts: dict[Place, list[str]] = {}
    for name, part in parts.items():
        for group, own in part.groups.items():
            accounts.setdefault((name, own.service_account), []).append(group)
    return accounts


def _findings(
    snapshot: Snapshot, parts: Mapping[str, NamespacePart], book: PolicyBook, remarks: Remarks
) -> tuple[Finding, ...]:
    found = {finding for part in parts.values() for finding in part.findings}
    found.update(finding for view in snapshot.namespaces.values() for finding in namespace_findings(view))
    return tuple(sorted(found | set(remarks.findings(book))))


def _configs(
    namespace: str, part: NamespacePart, scope: _Scope, snapshot: Snapshot, directions: Directions
) -> dict[str, SidecarConfig]:
    settings = snapshot.settings
    # Where nobody hints at zones, a pod on another node changes nothing.
    zones = snapshot.zones if any(member.has_zone_hints for member in scope.inputs) else {}
    # A strict sidecar would refuse what one that is transparent already sends.
    weakened = {MtlsMode.STRICT: MtlsMode.PERMISSIVE} if settings.opening or settings.transparent else {}
    modes = {group: weakened.get(own.mtls_mode, own.mtls_mode) for group, own in part.groups.items()}
    return {
        group: SidecarConfig(
            trust_domain=settings.trust_domain,
            mtls_mode=modes[group],
            client_max_body_size=own.client_max_body_size,
            error_log_level=settings.error_log_level.value,
            log_format=settings.log_format.value,
            access_control_mode=settings.access_control_mode.value,
            incoming=own.incoming,
            services=scope.strict_services if modes[group] is MtlsMode.STRICT else scope.services,
            pods=scope.pods,
            transparent=settings.transparent,
            server_first_ms=settings.server_first_ms,
            node_zones=tuple((node, zones[node]) for node in own.nodes if node in zones),
            access_enforced=_is_enforced(settings, directions, (namespace, own.service_account)),
            targets=directions.targets.get((namespace, own.service_account), ()),
            limits=directions.limits.get(group, ()),
        )
        for group, own in part.groups.items()
    }


def _is_enforced(settings: MeshSettings, directions: Directions, account: Place) -> bool:
    """A service account that is some target's destination accepts only what its targets allow, whatever the mode."""
    return settings.access_control_mode is AccessControlMode.DENY or account in directions.targets


def _resolve(service: ServicePort, pods: Mapping[str, PodAddress]) -> ServicePort:
    """Give endpoints that name no pod the identity of the injected pod that has the address, wherever it runs."""
    endpoints = each_place_once(_identified(endpoint, pods) for endpoint in service.endpoints)
    return service if endpoints == service.endpoints else replace(service, endpoints=endpoints)


def _proven_only(service: ServicePort) -> ServicePort:
    proven = tuple(endpoint for endpoint in service.endpoints if endpoint.identity)
    return service if len(proven) == len(service.endpoints) else replace(service, endpoints=proven)


def _identified(endpoint: Endpoint, pods: Mapping[str, PodAddress]) -> Endpoint:
    pod = None if endpoint.pod else pods.get(endpoint.address)
    return replace(endpoint, identity=pod.identity, pod=pod.pod) if pod else endpoint
