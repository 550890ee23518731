"""Objects of manifests, or of a cluster, as the snapshot that the controller would compile. Pure (contract 10.analyze).

Manifests hold workloads where a cluster has pods and endpoints: each workload stands for one pod that runs, and each
Service gets the endpoints that its selector chooses.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec

from mesh.admission.group import pod_facts, sidecar_group
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.kinds import POLICY_KINDS, POLICY_PARSERS
from mesh.api.policy import Policy
from mesh.api.traffic_target import TRAFFIC_TARGET, named_account
from mesh.compiler.incoming import target_numbers
from mesh.ctl.analysis.result import Place
from mesh.ctl.manifest import GROUPS, TEMPLATE_PATHS
from mesh.kube import convert
from mesh.kube import objects as wire
from mesh.model.snapshot import (
    EndpointSlice,
    FaultyPolicy,
    MeshSettings,
    NamespaceView,
    Pod,
    Service,
    SliceEndpoint,
    Snapshot,
)

_POLICIES: Final = {(kind.group, kind.kind): kind for kind in POLICY_KINDS}
_SLICES: Final = "discovery.k8s.io"
# Networks of documentation (RFC 5737), for what has no address yet.
_POD_ADDRESSES: Final = "198.51.100.{}"
_SERVICE_ADDRESSES: Final = "203.0.113.{}"
_NO_ADDRESS: Final = "None"

Object = Mapping[str, Any]


class UnreadableObjectError(ValueError):
    """An object of a kind that the mesh reads does not have its form."""


@dataclass(slots=True)
class Tables:
    """Objects by namespace, and where each of them was read. Those that are ``live`` are what they are."""

    live: bool = False
    namespaces: dict[str, wire.NamespaceObject] = field(default_factory=dict)
    pods: dict[str, list[Pod]] = field(default_factory=dict)
    services: dict[str, list[Service]] = field(default_factory=dict)
    slices: dict[str, list[EndpointSlice]] = field(default_factory=dict)
    policies: dict[str, list[Policy[Any]]] = field(default_factory=dict)
    faulty: dict[str, list[FaultyPolicy]] = field(default_factory=dict)
    places: dict[tuple[str, str, str], Place] = field(default_factory=dict)
    count: int = 0

    def add(self, manifest: Object, place: Place, default_namespace: str = "default") -> None:
        """Take one object; kinds that the mesh does not read are left out. Raises UnreadableObjectError."""
        kind = str(manifest.get("kind") or "")
        try:
            metadata = dict(manifest.get("metadata") or {})
            if kind != "Namespace":
                metadata["namespace"] = str(metadata.get("namespace") or default_namespace)
            self.count += 1
            self.places[kind, metadata.get("namespace", ""), str(metadata.get("name", ""))] = place
            self._add(kind, {**manifest, "metadata": metadata}, metadata.get("namespace", ""))
        except (msgspec.ValidationError, AttributeError, KeyError, TypeError, ValueError) as error:
            raise UnreadableObjectError(f"{place.source}, line {place.line}: {kind} cannot be read: {error}") from error

    def _add(self, kind: str, manifest: Object, namespace: str) -> None:
        group = str(manifest.get("apiVersion") or "").rpartition("/")[0]
        if (group, kind) in _POLICIES:
            self._add_policy(kind, manifest, namespace)
        elif (group, kind) == ("", "Namespace"):
            read = msgspec.convert(manifest, wire.NamespaceObject)
            self.namespaces[read.metadata.name] = read
        elif (group, kind) == ("", "Service"):
            whole = manifest if self.live else _addressed(manifest, self.count)
            service = convert.service(msgspec.convert(whole, wire.ServiceObject))
            self.services.setdefault(namespace, []).extend([service] if service else [])
        elif (group, kind) == (_SLICES, "EndpointSlice"):
            part = convert.endpoint_slice(msgspec.convert(manifest, wire.EndpointSliceObject))
            self.slices.setdefault(namespace, []).extend([part] if part else [])
        elif self.live and (group, kind) == ("", "Pod"):
            self.pods.setdefault(namespace, []).append(convert.pod(msgspec.convert(manifest, wire.PodObject)))
        elif kind in TEMPLATE_PATHS and group in GROUPS:
            self.pods.setdefault(namespace, []).append(_workload(kind, manifest, namespace, self.count))

    def snapshot(self, settings: MeshSettings = MeshSettings()) -> Snapshot:  # noqa: B008 - immutable
        """The cluster that these objects make. Without a Namespace object a namespace is one of the mesh."""
        known = {*self.namespaces, *self.pods, *self.services, *self.slices, *self.policies, *self.faulty}
        return Snapshot(settings, {name: self._view(name) for name in sorted(known)})

    def _view(self, name: str) -> NamespaceView:
        found = self.namespaces.get(name)
        labels = (found.metadata.labels or {}) if found else {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}
        annotations = (found.metadata.annotations or {}) if found else {}
        pods = tuple(sorted(self.pods.get(name, []), key=lambda row: row.name))
        services = tuple(sorted(self.services.get(name, []), key=lambda row: row.name))
        written = self.slices.get(name, [])
        implied = () if self.live else _implied(pods, services, {row.service for row in written})
        slices = [*written, *implied]
        return NamespaceView(
            name,
            labels,
            annotations,
            pods,
            services,
            tuple(sorted(slices, key=lambda row: row.name)),
            tuple(self.policies.get(name, [])),
            tuple(self.faulty.get(name, [])),
        )

    def _add_policy(self, kind: str, manifest: Object, namespace: str) -> None:
        name = str(manifest["metadata"].get("name", ""))
        try:
            self.policies.setdefault(namespace, []).append(POLICY_PARSERS[kind](manifest))
        except InvalidInputError as error:
            message = "; ".join(map(str, error.problems))
            closes = named_account(manifest.get("spec"), namespace) if kind == TRAFFIC_TARGET.kind else None
            self.faulty.setdefault(namespace, []).append(FaultyPolicy(kind, namespace, name, 0, message, closes))


def _addressed(manifest: Object, number: int) -> Object:
    """The Service with an address, where the cluster would give it one."""
    spec = manifest.get("spec") or {}
    if spec.get("clusterIP") == _NO_ADDRESS or spec.get("clusterIPs"):
        return manifest
    return {**manifest, "spec": {**spec, "clusterIPs": [_SERVICE_ADDRESSES.format(number % 250 + 1)]}}


def _workload(kind: str, manifest: Object, namespace: str, number: int) -> Pod:
    """The pod that a workload would run, with the sidecar that it would get."""
    template: Any = manifest
    for step in TEMPLATE_PATHS[kind]:
        template = template[step]
    metadata = dict(template.get("metadata") or {})
    owner = str(manifest["metadata"].get("name", ""))
    labels = {**(metadata.get("labels") or {}), **({} if kind == "Pod" else {names.parent_label(kind): owner})}
    account = str(template["spec"].get("serviceAccountName") or "default")
    whole = {
        "metadata": {**metadata, "name": owner, "namespace": namespace, "labels": labels},
        "spec": template["spec"],
        "status": {"podIPs": [{"ip": _POD_ADDRESSES.format(number % 250 + 1)}]},
    }
    pod = convert.pod(msgspec.convert(whole, wire.PodObject))
    is_bare = labels.get(names.LABEL_AUTO_INJECT) == names.AUTO_INJECT_DISABLED
    return replace(pod, group="" if is_bare else sidecar_group(namespace, account, kind, owner, pod_facts(template)))


def _implied(pods: Iterable[Pod], services: Iterable[Service], written: set[str]) -> Iterator[EndpointSlice]:
    """What the cluster's own controller would write for Services whose endpoints nobody wrote."""
    for service in services:
        chosen = [pod for pod in pods if service.selector and service.selector.items() <= pod.labels.items()]
        if chosen and service.name not in written:
            ports = tuple(
                (spec.name, spec.transport, min(target_numbers(spec, chosen[0]), default=spec.port))
                for spec in service.ports
            )
            endpoints = tuple(SliceEndpoint(pod.addresses, pod.name) for pod in chosen)
            yield EndpointSlice(service.namespace, f"{service.name}-implied", service.name, ports, endpoints)
