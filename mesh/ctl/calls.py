"""Who calls whom: what people write for a caller and a destination, found in a snapshot."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from mesh.api import names
from mesh.api.mtls import MtlsMode
from mesh.ctl.live import Live
from mesh.decide.explain import (
    Caller,
    Explanation,
    explain_headless,
    explain_pod,
    explain_service,
    without_sidecar,
)
from mesh.decide.request import Request
from mesh.model.identity import workload_identity
from mesh.model.sidecar_config import PodAddress, SidecarConfig
from mesh.model.snapshot import NamespaceView, Pod, Service

SOURCES: Final = ("pod", "deploy", "sa")
DESTINATIONS: Final = ("svc", "pod")
_ALIASES: Final = {
    "pods": "pod", "deployment": "deploy", "deployments": "deploy", "serviceaccount": "sa", "service": "svc", "services": "svc",
}  # fmt: skip


class UnknownNameError(ValueError):
    """There is no such object; the message says what there is."""


def find_caller(live: Live, text: str) -> Caller:
    """Find ``[pod/|deploy/|sa/]namespace/name``; of several pods the first by name that has a sidecar. Raises UnknownNameError."""
    kinds, namespace, name = _read(text, SOURCES)
    if not namespace:
        raise UnknownNameError(f'"{text}" names no namespace; write namespace/name')
    pods = _pods_of(live, namespace)
    for kind in kinds:
        found = [pod for pod in pods if _is_source(pod, kind, name)]
        injected = [pod for pod in found if pod.group in live.compilation.configs]
        if injected:
            return _caller(live, injected[0])
        if found:
            return Caller(found[0].key, "", without_sidecar(live.compilation.configs.values()), has_sidecar=False)
    raise UnknownNameError(f"there is no {_or(kinds)} {name} with a pod in namespace {namespace}")


def explain(live: Live, caller: Caller, text: str, request: Request, opened: Iterable[str] = ()) -> Explanation:
    """Explain what becomes of *request* of *caller* to ``[svc/|pod/][namespace/]name[:port]``. Raises UnknownNameError."""
    where, _, port_text = text.rpartition(":") if ":" in text else (text, "", "")
    if port_text and not port_text.isdecimal():
        raise UnknownNameError(f'port "{port_text}" is no number')
    kinds, namespace, name = _read(where, DESTINATIONS)
    namespace = namespace or caller.pod.partition("/")[0]
    port = int(port_text) if port_text else 0
    opened = frozenset(opened)
    configs = sidecar_configs(live)
    view = live.snapshot.namespaces.get(namespace)
    service = next((row for row in view.services if row.name == name), None) if view and "svc" in kinds else None
    if service:
        number = _port_of(f"Service {namespace}/{name}", {spec.port for spec in service.ports}, port)
        place = (f"{namespace}/{name}", number)
        behind = _behind(caller.config, view, service, number) if view and service.is_headless else []
        if behind and not any((f"{row.namespace}/{row.service}", row.port) == place for row in caller.config.services):
            return explain_headless(caller, configs, behind, place, request)
        return explain_service(caller, configs, place, request, opened)
    if "pod" in kinds:
        called = next((pod for pod in caller.config.pods if pod.pod == f"{namespace}/{name}"), None)
        if called:
            number = port or _only(f"pod {namespace}/{name}", {number for number, _ in called.ports})
            return explain_pod(caller, configs, called, _at(request, number), opened)
        if any(pod.name == name for pod in _pods_of(live, namespace)):
            raise UnknownNameError(
                f"pod {namespace}/{name} proves no identity (no sidecar, or mTLS off): calls of its address go by the caller's mode alone"
            )
    raise UnknownNameError(f"there is no {_or(kinds)} {name} in namespace {namespace}")


def sidecar_configs(live: Live) -> dict[str, SidecarConfig]:
    """What the sidecar of each injected pod does, by ``namespace/name``."""
    configs = live.compilation.configs
    return {
        pod.key: configs[pod.group]
        for view in live.snapshot.namespaces.values()
        for pod in view.pods
        if pod.group in configs
    }


def identity_of(live: Live, pod: Pod) -> str:
    """The identity that a pod proves, empty without a sidecar, or with mTLS off."""
    config = live.compilation.configs.get(pod.group)
    if config is None or config.mtls_mode is MtlsMode.OFF:
        return ""
    return str(workload_identity(live.snapshot.settings.trust_domain, pod.namespace, pod.service_account))


def _behind(config: SidecarConfig, view: NamespaceView, service: Service, number: int) -> list[tuple[PodAddress, int]]:
    """The pods behind a port of a headless Service that a sidecar knows, and the port of each."""
    port_names = {spec.name for spec in service.ports if spec.port == number}
    known = {pod.pod: pod for pod in config.pods}
    return [
        (known[f"{view.name}/{endpoint.pod}"], target)
        for slice_ in view.slices
        if slice_.service == service.name
        for port_name, _, target in slice_.ports
        if port_name in port_names
        for endpoint in slice_.endpoints
        if endpoint.ready and f"{view.name}/{endpoint.pod}" in known
    ]


def _caller(live: Live, pod: Pod) -> Caller:
    return Caller(pod.key, identity_of(live, pod), live.compilation.configs[pod.group])


def _at(request: Request, port: int) -> Request:
    return replace(request, port=port)


def _pods_of(live: Live, namespace: str) -> tuple[Pod, ...]:
    view = live.snapshot.namespaces.get(namespace)
    return view.pods if view else ()


def _is_source(pod: Pod, kind: str, name: str) -> bool:
    if pod.terminating:
        return False
    if kind == "pod":
        return pod.name == name
    if kind == "sa":
        return pod.service_account == name
    return pod.labels.get(names.LABEL_PARENT_PREFIX + "deployment") == name


def _read(text: str, kinds: tuple[str, ...]) -> tuple[tuple[str, ...], str, str]:
    """Kinds to look for, namespace (may be empty), name."""
    parts = text.split("/")
    kind = _ALIASES.get(parts[0], parts[0])
    if kind in kinds and len(parts) > 1:
        kinds, parts = (kind,), parts[1:]
    if len(parts) > 2 or not all(parts):
        raise UnknownNameError(f'got "{text}", takes [{"|".join(kinds)}/]namespace/name')
    return kinds, (parts[0] if len(parts) == 2 else ""), parts[-1]


def _port_of(what: str, ports: set[int], named: int) -> int:
    if named and named not in ports:
        raise UnknownNameError(f"{what} has no port {named}; it has {', '.join(map(str, sorted(ports))) or 'none'}")
    return named or _only(what, ports)


def _only(what: str, ports: set[int]) -> int:
    if len(ports) == 1:
        return next(iter(ports))
    raise UnknownNameError(
        f"{what} has {'the ports ' + ', '.join(map(str, sorted(ports))) if ports else 'no port'}; write name:port"
    )


def _or(kinds: tuple[str, ...]) -> str:
    words = {"svc": "Service", "pod": "pod", "deploy": "Deployment", "sa": "service account"}
    return " or ".join(words[kind] for kind in kinds)
