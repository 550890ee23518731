"""ClusterSPIFFEID: which pods get which SPIFFE ID. The SPIRE Controller Manager (v0.6) obeys it; fields are its own.

The schemas of the Controller Manager's three kinds are written here, because its Go module is not at hand where a
stack is deployed (contract 3.registration).
"""

from dataclasses import dataclass

from mesh.api import crd, names
from mesh.api.schema import member
from mesh.api.selectors import LabelSelector


@dataclass(frozen=True, slots=True)
class ClusterSpiffeIdSpec:
    """Templates are Go templates over the pod, its spec, its node and the trust domain."""

    spiffe_id_template: str = member("Template of the SPIFFE ID.", name="spiffeIDTemplate")
    ttl: str | None = member("Longest life of X.509 SVIDs, as a Go duration.", default=None)
    jwt_ttl: str | None = member("Longest life of JWT SVIDs, as a Go duration.", name="jwtTtl", default=None)
    dns_name_templates: tuple[str, ...] = member("Templates of DNS names.", name="dnsNameTemplates", default=())
    workload_selector_templates: tuple[str, ...] = member("Templates of further workload selectors.", default=())
    federates_with: tuple[str, ...] = member("Trust domains that the workloads federate with.", default=())
    namespace_selector: LabelSelector | None = member("The namespaces.", default=None, atomic=True)
    pod_selector: LabelSelector | None = member("The pods.", default=None, atomic=True)
    admin: bool | None = member("Whether the SVID may use SPIRE's administrative APIs.", default=None)
    downstream: bool | None = member("Whether the entry is a downstream SPIRE server's.", default=None)
    auto_populate_dns_names: bool | None = member(
        "Whether the names of the Services that select a pod are added.", name="autoPopulateDNSNames", default=None
    )
    fallback: bool | None = member("Whether this counts only for pods that no other one selects.", default=None)
    hint: str | None = member("Hint of the entry.", default=None)
    class_name: str | None = member("Class of the Controller Manager that obeys this.", default=None)


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts of the last reconciliation."""

    namespaces_selected: int | None = member("Namespaces selected.", default=None)
    namespaces_ignored: int | None = member("Selected namespaces that were ignored.", default=None)
    pods_selected: int | None = member("Pods selected.", default=None)
    pod_entry_render_failures: int | None = member("Pods whose entry could not be rendered.", default=None)
    entries_masked: int | None = member("Entries hidden by equal ones of another ClusterSPIFFEID.", default=None)
    entries_to_set: int | None = member("Entries to be set.", default=None)
    entry_failures: int | None = member("Entries that could not be set.", default=None)


@dataclass(frozen=True, slots=True)
class ClusterSpiffeIdStatus:
    """What the last reconciliation did."""

    stats: Stats | None = member("Counts of the last reconciliation.", default=None)


CLUSTER_SPIFFE_ID = crd.Kind(
    group=names.GROUP_SPIRE,
    kind="ClusterSPIFFEID",
    plural="clusterspiffeids",
    scope="Cluster",
    description="Gives pods a SPIFFE ID.",
    versions=(
        crd.Version(
            "v1alpha1",
            ClusterSpiffeIdSpec,
            ClusterSpiffeIdStatus,
            spec_required=False,
            columns=(
                ("Pods", "integer", ".status.stats.podsSelected"),
                ("Failures", "integer", ".status.stats.podEntryRenderFailures"),
            ),
        ),
    ),
)
