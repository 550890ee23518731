"""ClusterSPIFFEIDs: which pods get which identity and DNS names (contract 3.registration). Their selectors are disjoint.

Service names of the mesh's own parts are written out: names found through endpoints arrive only when a pod is ready,
and these parts are ready only with them. ``spec.ttl`` is left to the controller, which keeps it at the MeshConfig's
svidTTL.
"""

from components import manifest
from components.manifest import Manifest
from mesh.api import cluster_spiffe_id, names

_ID = "spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}"
_POD = "{{ .PodMeta.Name }}"
_ACCOUNT = "{{ .PodSpec.ServiceAccountName }}.{{ .PodMeta.Namespace }}.svc"
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_OWN_SERVICES = {
    names.CONTROLLER: (names.CONTROLLER, names.WEBHOOK_SERVICE),
    names.NATS_SERVER: (names.NATS_SERVER,),
}


def identities(namespace: str, cluster_domain: str) -> list[Manifest]:
    """All ClusterSPIFFEIDs of a mesh in *namespace*."""
    own = {"matchLabels": {_NAMESPACE_NAME: namespace}}
    others = [namespace, *names.SYSTEM_NAMESPACES]
    found = [
        _identity(
            part, own, _selector(part), [name for one in services for name in _service(one, namespace, cluster_domain)]
        )
        for part, services in _OWN_SERVICES.items()
    ]
    rest = {"key": names.LABEL_NAME, "operator": "NotIn", "values": sorted(_OWN_SERVICES)}
    found.append(_identity("nginx-mesh-parts", own, _selector() | {"matchExpressions": [rest]}, [], populate=True))
    elsewhere = {"matchExpressions": [{"key": _NAMESPACE_NAME, "operator": "NotIn", "values": others}]}
    bus = [names.bus_dns_name(namespace)]
    found.append(_identity("nginx-mesh-workloads", elsewhere, _selector(), bus, populate=True))
    return found


def _selector(part: str = "") -> Manifest:
    return {"matchLabels": {names.LABEL_SPIFFE_ID: "true"} | ({names.LABEL_NAME: part} if part else {})}


def _service(name: str, namespace: str, cluster_domain: str) -> list[str]:
    return [f"{name}.{namespace}.svc", f"{name}.{namespace}.svc.{cluster_domain}"]


def _identity(
    name: str, namespaces: Manifest, pods: Manifest, dns_names: list[str], *, populate: bool = False
) -> Manifest:
    spec: Manifest = {
        "spiffeIDTemplate": _ID,
        "dnsNameTemplates": [_POD, _ACCOUNT, *(one for one in dns_names)],
        "namespaceSelector": namespaces,
        "podSelector": pods,
        "autoPopulateDNSNames": populate,
    }
    return {
        "apiVersion": cluster_spiffe_id.CLUSTER_SPIFFE_ID.api_version,
        "kind": cluster_spiffe_id.CLUSTER_SPIFFE_ID.kind,
        "metadata": manifest.metadata(name, part=names.SPIRE_SERVER),
        "spec": spec,
    }
