"""Kubernetes objects, cut down to the fields that the mesh reads; everything else is dropped while decoding."""

from typing import Any, Generic, TypeVar

import msgspec

Item = TypeVar("Item")


class Meta(msgspec.Struct, rename="camel"):
    """Metadata of any object."""

    name: str
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None
    finalizers: list[str] | None = None


class ListMeta(msgspec.Struct, rename="camel"):
    """Metadata of a list."""

    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class Page(msgspec.Struct, Generic[Item]):
    """One page of a list; an empty one of metadata alone has null in place of its items."""

    metadata: ListMeta
    items: list[Item] | None = None


class WatchEvent(msgspec.Struct):
    """One line of a watch; the object is decoded when its type is known."""

    type: str
    object: msgspec.Raw


class Bookmark(msgspec.Struct):
    """How far a watch has come: its object has nothing but a version."""

    metadata: ListMeta


class Nameplate(msgspec.Struct):
    """An object of which only the metadata counts."""

    metadata: Meta


class Status(msgspec.Struct):
    """An error that arrives in a watch."""

    code: int = 0
    message: str = ""


class NamespaceObject(msgspec.Struct):
    """core/v1 Namespace."""

    metadata: Meta


class NodeObject(msgspec.Struct):
    """core/v1 Node, of which only the metadata is asked for."""

    metadata: Meta


class ContainerPortObject(msgspec.Struct, rename="camel"):
    """A container's port."""

    container_port: int
    protocol: str = "TCP"
    name: str = ""


class ContainerObject(msgspec.Struct):
    """A container of a pod."""

    name: str
    ports: list[ContainerPortObject] | None = None


class PodSpecObject(msgspec.Struct, rename="camel"):
    """Spec of a pod."""

    containers: list[ContainerObject]
    init_containers: list[ContainerObject] | None = None
    service_account_name: str = "default"
    host_network: bool = False
    node_name: str = ""


class PodIp(msgspec.Struct):
    """One address of a pod."""

    ip: str


class PodStatusObject(msgspec.Struct, rename="camel"):
    """Status of a pod."""

    phase: str = ""
    pod_i_ps: list[PodIp] | None = msgspec.field(name="podIPs", default=None)


class PodObject(msgspec.Struct):
    """core/v1 Pod."""

    metadata: Meta
    spec: PodSpecObject
    status: PodStatusObject = msgspec.field(default_factory=PodStatusObject)


class ServicePortObject(msgspec.Struct, rename="camel"):
    """A port of a Service."""

    port: int
    target_port: int | str = 0
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None


class ServiceSpecObject(msgspec.Struct, rename="camel"):
    """Spec of a Service."""

    type: str = "ClusterIP"
    cluster_i_ps: list[str] | None = msgspec.field(name="clusterIPs", default=None)
    ports: list[ServicePortObject] | None = None
    selector: dict[str, str] | None = None


class ServiceObject(msgspec.Struct):
    """core/v1 Service."""

    metadata: Meta
    spec: ServiceSpecObject


class EndpointConditions(msgspec.Struct):
    """What an endpoint is fit for; absent means yes."""

    ready: bool | None = None


class ObjectReference(msgspec.Struct):
    """What stands behind an endpoint."""

    kind: str = ""
    namespace: str = ""
    name: str = ""


class HintObject(msgspec.Struct):
    """A zone or a node."""

    name: str


class HintsObject(msgspec.Struct, rename="camel"):
    """Whose callers should use an endpoint."""

    for_zones: list[HintObject] | None = None
    for_nodes: list[HintObject] | None = None


class EndpointObject(msgspec.Struct, rename="camel"):
    """One endpoint of a slice."""

    addresses: list[str]
    conditions: EndpointConditions = msgspec.field(default_factory=EndpointConditions)
    target_ref: ObjectReference | None = None
    hints: HintsObject | None = None


class EndpointPortObject(msgspec.Struct):
    """A port of a slice; without a number it means every port."""

    name: str | None = ""
    port: int | None = None
    protocol: str | None = "TCP"


class EndpointSliceObject(msgspec.Struct, rename="camel"):
    """discovery.k8s.io/v1 EndpointSlice."""

    metadata: Meta
    address_type: str
    endpoints: list[EndpointObject] | None = None
    ports: list[EndpointPortObject] | None = None


class CustomObject(msgspec.Struct):
    """An object whose own parser reads spec and status."""

    metadata: Meta
    spec: dict[str, Any] | None = None
    status: dict[str, Any] | None = None


class ConfigMapObject(msgspec.Struct):
    """core/v1 ConfigMap."""

    metadata: Meta
    data: dict[str, str] | None = None


class SecretObject(msgspec.Struct):
    """core/v1 Secret; ``data`` in base64, as it is written again."""

    metadata: Meta
    type: str
    data: dict[str, str] | None = None


class ClientConfigObject(msgspec.Struct, rename="camel"):
    """How a webhook is called."""

    ca_bundle: str = ""


class WebhookObject(msgspec.Struct, rename="camel"):
    """One entry of a webhook configuration."""

    name: str
    client_config: ClientConfigObject


class WebhookConfigurationObject(msgspec.Struct):
    """admissionregistration.k8s.io/v1 MutatingWebhookConfiguration or ValidatingWebhookConfiguration."""

    metadata: Meta
    webhooks: list[WebhookObject] | None = None


class ApiServiceSpecObject(msgspec.Struct, rename="camel"):
    """Spec of an APIService."""

    ca_bundle: str = ""


class ApiServiceObject(msgspec.Struct):
    """apiregistration.k8s.io/v1 APIService."""

    metadata: Meta
    spec: ApiServiceSpecObject


class ClusterSpiffeIdSpecObject(msgspec.Struct):
    """Spec of a ClusterSPIFFEID."""

    ttl: str = ""


class ClusterSpiffeIdObject(msgspec.Struct):
    """spire.spiffe.io/v1alpha1 ClusterSPIFFEID."""

    metadata: Meta
    spec: ClusterSpiffeIdSpecObject = msgspec.field(default_factory=ClusterSpiffeIdSpecObject)
