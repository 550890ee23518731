"""Small clusters, written short, for the compiler's tests."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mesh.api.policy import Policy
from mesh.compiler.assemble import Compilation, Compiler
from mesh.model.sidecar_config import ServicePort, SidecarConfig
from mesh.model.snapshot import (
    ContainerPort,
    EndpointSlice,
    FaultyPolicy,
    MeshSettings,
    NamespaceView,
    Pod,
    Service,
    ServicePortSpec,
    SliceEndpoint,
    Snapshot,
)

ENABLED = {"injector.nsm.nginx.com/auto-inject": "enabled"}
GROUP = "0123456789abcdef"


def pod(
    name: str,
    address: str,
    *ports: ContainerPort,
    app: str = "",
    group: str = GROUP,
    namespace: str = "shop",
    annotations: Mapping[str, str] | None = None,
    terminating: bool = False,
    created: str = "2026-01-01T00:00:00Z",
) -> Pod:
    """An injected pod (without a *group*: one that is not), labelled app=*app*."""
    return Pod(
        namespace,
        name,
        f"{app or name}-account",
        group,
        tuple(address.split()),
        ports,
        {"app": app or name},
        annotations or {},
        terminating,
        created,
    )


def service(
    name: str,
    address: str,
    *ports: ServicePortSpec,
    app: str = "",
    namespace: str = "shop",
    annotations: Mapping[str, str] | None = None,
) -> Service:
    """A Service over the pods labelled app=*app*; without an *address* a headless one."""
    return Service(namespace, name, tuple(address.split()), ports, {"app": app or name}, annotations or {})


def endpoint_slice(
    service_name: str,
    port_name: str,
    number: int,
    *pods: Pod | SliceEndpoint,
    namespace: str = "shop",
    suffix: str = "x",
) -> EndpointSlice:
    """The endpoints of one port; a pod stands for its ready endpoint."""
    rows = tuple(SliceEndpoint(item.addresses, item.name) if isinstance(item, Pod) else item for item in pods)
    return EndpointSlice(namespace, f"{service_name}-{suffix}", service_name, ((port_name, "TCP", number),), rows)


def namespace(
    *items: Pod | Service | EndpointSlice | Policy[Any] | FaultyPolicy,
    name: str = "shop",
    annotations: Mapping[str, str] | None = None,
) -> NamespaceView:
    """A namespace labelled for injection."""
    return NamespaceView(
        name,
        ENABLED,
        annotations or {},
        tuple(item for item in items if isinstance(item, Pod)),
        tuple(item for item in items if isinstance(item, Service)),
        tuple(item for item in items if isinstance(item, EndpointSlice)),
        tuple(item for item in items if isinstance(item, Policy)),
        tuple(item for item in items if isinstance(item, FaultyPolicy)),
    )


def of_workload(item: Pod, kind: str, name: str) -> Pod:
    """A pod as one of a Deployment, DaemonSet or StatefulSet: injection labels it with its owner."""
    return replace(item, labels={**item.labels, f"nsm.nginx.com/{kind.lower()}": name})


def backed(
    name: str, address: str, number: int, *ports: ServicePortSpec, namespace: str = "shop"
) -> tuple[Service, Pod, EndpointSlice]:
    """A Service with one injected pod, whose address ends with *number*, in a group and account of its own."""
    behind = pod(name, f"10.1.0.{number}", group=f"{number:016x}", namespace=namespace)
    specs = ports or (ServicePortSpec(80, 8080, "http"),)
    slices = EndpointSlice(
        namespace,
        f"{name}-x",
        name,
        tuple((spec.name, "TCP", spec.target) for spec in specs if isinstance(spec.target, int)),
        (SliceEndpoint(behind.addresses, behind.name),),
    )
    return service(name, address, *specs, namespace=namespace), behind, slices


def compiled(*views: NamespaceView, settings: MeshSettings | None = None) -> Compilation:
    """What a fresh compiler makes of these namespaces."""
    return Compiler().compile(Snapshot(settings or MeshSettings(), {view.name: view for view in views}))


def config(*views: NamespaceView, settings: MeshSettings | None = None, group: str = GROUP) -> SidecarConfig:
    """The configuration of one group."""
    return compiled(*views, settings=settings).configs[group]


def port_of(config: SidecarConfig, service_name: str, port: int = 80) -> ServicePort:
    """One Service port of a configuration."""
    (found,) = [item for item in config.services if (item.service, item.port) == (service_name, port)]
    return found
