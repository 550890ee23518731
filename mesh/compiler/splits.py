"""TrafficSplits as what callers must do with requests to a root Service (contract 7.split)."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from mesh.api.policy import Policy
from mesh.api.traffic_split import TrafficSplitSpec
from mesh.compiler.book import DESTINATION_MISSING, Place, PolicyBook, Remarks
from mesh.compiler.routes import matches_of
from mesh.compiler.service_settings import REQUEST_PROTOCOLS
from mesh.compiler.services import ServiceTable
from mesh.model.policy import HttpMatch, Share, Split
from mesh.model.sidecar_config import ServicePort
from mesh.model.snapshot import Service, ServicePortSpec

CONFLICT: Final = "SplitConflict"
CYCLE: Final = "SplitCycle"
NOT_HTTP: Final = "SplitNotHttp"
BACKEND_MISSING: Final = "SplitBackendMissing"
BACKEND_EMPTY: Final = "SplitBackendEmpty"
_TCP: Final = "TCP"

SplitPolicy = Policy[TrafficSplitSpec]


def compile_splits(
    book: PolicyBook, services: ServiceTable, remarks: Remarks
) -> dict[tuple[Place, int], tuple[Split, ...]]:
    """The splits of each root Service's port, in the order in which they are tried."""
    found: dict[tuple[Place, int], list[Split]] = {}
    for policy in _in_order(_acyclic(_one_default(book.splits, remarks), remarks)):
        root = services.declared(policy.namespace, policy.spec.service)
        if root is None:
            remarks.refuse(policy, DESTINATION_MISSING, f"the root Service {policy.spec.service} does not exist")
            continue
        matches = matches_of(policy, ((match.name, ()) for match in policy.spec.matches), book, remarks)
        if policy.spec.matches and not matches:
            continue
        ports = [spec for spec in root.ports if spec.transport == _TCP]
        usable = [spec for spec in ports if not matches or _protocol_fits(services, root, spec)]
        if len(usable) < len(ports):
            left = ", ".join(str(spec.port) for spec in ports if spec not in usable)
            remarks.say(policy, NOT_HTTP, f"matches are about HTTP: nothing of port {left} is split")
        for spec in usable:
            split = _split(policy, spec, matches, services, remarks)
            if split.shares:
                found.setdefault(((policy.namespace, root.name), spec.port), []).append(split)
    return {key: tuple(splits) for key, splits in found.items()}


def _one_default(policies: Iterable[SplitPolicy], remarks: Remarks) -> Iterator[SplitPolicy]:
    """Leave out splits of all requests of a root that has an older one."""
    defaults: dict[Place, SplitPolicy] = {}
    for policy in policies:
        if not policy.spec.matches:
            older = defaults.setdefault((policy.namespace, policy.spec.service), policy)
            if older is not policy:
                text = f"TrafficSplit {older.name} is older and divides all requests to {policy.spec.service} already"
                remarks.refuse(policy, CONFLICT, text)
                continue
        yield policy


def _acyclic(policies: Iterable[SplitPolicy], remarks: Remarks) -> Iterator[SplitPolicy]:
    """Leave out splits that would lead requests back to where they came from; the older ones of a circle stay."""
    edges: dict[Place, set[Place]] = {}
    for policy in policies:
        root = (policy.namespace, policy.spec.service)
        # A root among its own backends means its own endpoints: that is no way back.
        backends = {(policy.namespace, backend.service) for backend in policy.spec.backends} - {root}
        if root in _reachable(backends, edges):
            text = f"it would lead back to its root {policy.spec.service} through older TrafficSplits"
            remarks.refuse(policy, CYCLE, text)
            continue
        edges.setdefault(root, set()).update(backends)
        yield policy


def _reachable(start: Iterable[Place], edges: Mapping[Place, set[Place]]) -> set[Place]:
    seen: set[Place] = set()
    waiting = list(start)
    while waiting:
        place = waiting.pop()
        if place not in seen:
            seen.add(place)
            waiting.extend(edges.get(place, ()))
    return seen


def _in_order(policies: Iterable[SplitPolicy]) -> list[SplitPolicy]:
    """Those of some requests before those of all; each by age."""
    return sorted(policies, key=lambda policy: (not policy.spec.matches, policy.age))


def _protocol_fits(services: ServiceTable, root: Service, spec: ServicePortSpec) -> bool:
    return any(
        port.protocol in REQUEST_PROTOCOLS
        for port in services.ports(root.namespace, root.name)
        if port.port == spec.port
    )


def _split(
    policy: SplitPolicy,
    spec: ServicePortSpec,
    matches: tuple[HttpMatch, ...],
    services: ServiceTable,
    remarks: Remarks,
) -> Split:
    shares = []
    for backend in policy.spec.backends:
        declared = services.declared(policy.namespace, backend.service)
        number = _port_of(declared, spec) if declared else None
        if declared is None:
            remarks.say(policy, BACKEND_MISSING, f"backend {backend.service} does not exist: it gets no share")
        elif number is None:
            text = f"backend {backend.service} has no port {spec.port}: it gets no share of that port"
            remarks.say(policy, BACKEND_MISSING, text)
        else:
            if backend.weight and not _has_endpoints(services.ports(policy.namespace, backend.service), number):
                text = f"backend {backend.service} has no endpoint: the others get its share"
                remarks.say(policy, BACKEND_EMPTY, text)
            shares.append(Share(f"{policy.namespace}/{backend.service}", number, backend.weight))
    return Split(policy.key, tuple(shares), matches)


def _port_of(backend: Service, spec: ServicePortSpec) -> int | None:
    """The port of *backend* that takes what was meant for the root's port: of its number, its name, or the only one."""
    ports = [port for port in backend.ports if port.transport == _TCP]
    by_number = [port.port for port in ports if port.port == spec.port]
    by_name = [port.port for port in ports if spec.name and port.name == spec.name]
    only = [port.port for port in ports] if len(ports) == 1 else []
    return next(iter((*by_number, *by_name, *only)), None)


def _has_endpoints(ports: Iterable[ServicePort], number: int) -> bool:
    return any(port.endpoints for port in ports if port.port == number)
