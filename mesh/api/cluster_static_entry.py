"""ClusterStaticEntry: one SPIRE entry written out. The SPIRE Controller Manager watches it; the mesh makes none."""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.schema import member


@dataclass(frozen=True, slots=True)
class ClusterStaticEntrySpec:
    """The fields of a SPIRE registration entry; lives are Go durations."""

    spiffe_id: str = member("The SPIFFE ID.", name="spiffeID")
    parent_id: str = member("SPIFFE ID of the agent or server that hands it out.", name="parentID")
    selectors: tuple[str, ...] = member("Selectors of the workload, as type:value.")
    federates_with: tuple[str, ...] = member("Trust domains that the workload federates with.", default=())
    x509_svid_ttl: str | None = member("Life of X.509 SVIDs.", name="x509SVIDTTL", default=None)
    jwt_svid_ttl: str | None = member("Life of JWT SVIDs.", name="jwtSVIDTTL", default=None)
    dns_names: tuple[str, ...] = member("DNS names.", default=())
    hint: str | None = member("Hint of the entry.", default=None)
    admin: bool | None = member("Whether the SVID may use SPIRE's administrative APIs.", default=None)
    downstream: bool | None = member("Whether the entry is a downstream SPIRE server's.", default=None)
    store_svid: bool | None = member("Whether the SVID is kept in a store.", name="storeSVID", default=None)
    class_name: str | None = member("Class of the Controller Manager that obeys this.", default=None)


@dataclass(frozen=True, slots=True)
class ClusterStaticEntryStatus:
    """What the last reconciliation did."""

    rendered: bool = member("Whether the entry could be rendered.")
    masked: bool = member("Whether another entry hides it.")
    set: bool = member("Whether SPIRE has it.")


CLUSTER_STATIC_ENTRY = crd.Kind(
    group=names.GROUP_SPIRE,
    kind="ClusterStaticEntry",
    plural="clusterstaticentries",
    scope="Cluster",
    description="One SPIRE entry, written out.",
    versions=(crd.Version("v1alpha1", ClusterStaticEntrySpec, ClusterStaticEntryStatus, spec_required=False),),
)
