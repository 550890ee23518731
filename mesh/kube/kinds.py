"""The kinds that the mesh watches: where the API server has them and what becomes of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from mesh.api import names
from mesh.api.kinds import POLICY_KINDS
from mesh.api.mesh_config import MESH_CONFIG
from mesh.api.policy import Policy
from mesh.kube import convert, objects
from mesh.model.snapshot import EndpointSlice, FaultyPolicy, Pod, Service

Wire = TypeVar("Wire")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Kind(Generic[Wire, Value]):
    """One kind. ``prefix`` is the path of its API version; ``convert`` gives None for objects that do not matter.

    Of a kind with ``metadata_only`` the API server is asked for nothing else. One that ``may_be_absent`` has a definition that
    somebody may have taken away.
    """

    kind: str
    prefix: str
    plural: str
    wire: type[Wire]
    convert: Callable[[Wire], Value | None]
    metadata_only: bool = False
    may_be_absent: bool = False

    @property
    def api_version(self) -> str:
        """``group/version``, or the version alone for the core group."""
        return self.prefix.removeprefix("/apis/").removeprefix("/api/")

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Path of the collection, of one object, or of its subresource."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        return f"{self.prefix}{scope}/{self.plural}" + "".join(f"/{part}" for part in (name, subresource) if part)


def _same(wire: Wire) -> Wire:
    return wire


def _kind(kind: str, prefix: str, plural: str, wire: type[Wire]) -> Kind[Wire, Wire]:
    return Kind(kind, prefix, plural, wire, _same)


NAMESPACES: Final = _kind("Namespace", "/api/v1", "namespaces", objects.NamespaceObject)
# A node's status is long and changes often; its labels are short and do not.
NODES: Final[Kind[objects.NodeObject, str]] = Kind(
    "Node", "/api/v1", "nodes", objects.NodeObject, convert.zone, metadata_only=True
)
PODS: Final[Kind[objects.PodObject, Pod]] = Kind("Pod", "/api/v1", "pods", objects.PodObject, convert.pod)
SERVICES: Final[Kind[objects.ServiceObject, Service]] = Kind(
    "Service", "/api/v1", "services", objects.ServiceObject, convert.service
)
ENDPOINT_SLICES: Final[Kind[objects.EndpointSliceObject, EndpointSlice]] = Kind(
    "EndpointSlice",
    "/apis/discovery.k8s.io/v1",
    "endpointslices",
    objects.EndpointSliceObject,
    convert.endpoint_slice,
)
CONFIG_MAPS: Final = _kind("ConfigMap", "/api/v1", "configmaps", objects.ConfigMapObject)
SECRETS: Final = _kind("Secret", "/api/v1", "secrets", objects.SecretObject)
MESH_CONFIGS: Final[Kind[objects.CustomObject, dict[str, Any]]] = Kind(
    MESH_CONFIG.kind, f"/apis/{MESH_CONFIG.api_version}", MESH_CONFIG.plural, objects.CustomObject, convert.mesh_config
)
# Policies as the writer of their statuses sees them, and as the compiler does, by kind. One watch feeds both.
POLICIES: Final = {
    kind.kind: Kind(
        kind.kind, f"/apis/{kind.api_version}", kind.plural, objects.CustomObject, _same, may_be_absent=True
    )
    for kind in POLICY_KINDS
}
PARSED_POLICIES: Final[dict[str, Kind[objects.CustomObject, Policy[Any] | FaultyPolicy]]] = {
    kind.kind: Kind(
        kind.kind,
        f"/apis/{kind.api_version}",
        kind.plural,
        objects.CustomObject,
        convert.policy(kind),
        may_be_absent=True,
    )
    for kind in POLICY_KINDS
}
CLUSTER_SPIFFE_IDS: Final = _kind(
    "ClusterSPIFFEID", f"/apis/{names.GROUP_SPIRE}/v1alpha1", "clusterspiffeids", objects.ClusterSpiffeIdObject
)
MUTATING_WEBHOOKS: Final = _kind(
    "MutatingWebhookConfiguration",
    "/apis/admissionregistration.k8s.io/v1",
    "mutatingwebhookconfigurations",
    objects.WebhookConfigurationObject,
)
VALIDATING_WEBHOOKS: Final = _kind(
    "ValidatingWebhookConfiguration",
    "/apis/admissionregistration.k8s.io/v1",
    "validatingwebhookconfigurations",
    objects.WebhookConfigurationObject,
)
API_SERVICES: Final = _kind("APIService", "/apis/apiregistration.k8s.io/v1", "apiservices", objects.ApiServiceObject)
