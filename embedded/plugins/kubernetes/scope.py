"""Which kinds of Kubernetes itself live outside namespaces: known without asking, so that a preview needs no cluster."""

from embedded.plugins.kubernetes.cluster import Cluster, NoSuchKind
from embedded.plugins.kubernetes.connection import Unreachable
from embedded.plugins.kubernetes.properties import Object

_CLUSTER_WIDE = frozenset(
    [
        "APIService",
        "CSIDriver",
        "CSINode",
        "CertificateSigningRequest",
        "ClusterRole",
        "ClusterRoleBinding",
        "ClusterTrustBundle",
        "CustomResourceDefinition",
        "DeviceClass",
        "FlowSchema",
        "IPAddress",
        "IngressClass",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionPolicyBinding",
        "MutatingWebhookConfiguration",
        "Namespace",
        "Node",
        "PersistentVolume",
        "PriorityClass",
        "PriorityLevelConfiguration",
        "ResourceSlice",
        "RuntimeClass",
        "ServiceCIDR",
        "StorageClass",
        "StorageVersionMigration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "ValidatingWebhookConfiguration",
        "VolumeAttachment",
        "VolumeAttributesClass",
    ]
)


def is_namespaced(cluster: Cluster, inputs: Object) -> bool:
    """Whether an object lives in a namespace; a kind that nobody knows yet is taken as one that does."""
    api_version, kind = str(inputs.get("apiVersion")), str(inputs.get("kind"))
    group = api_version.partition("/")[0] if "/" in api_version else ""
    if "." not in group or group.endswith(".k8s.io"):
        return kind not in _CLUSTER_WIDE
    try:
        return cluster.kind(api_version, kind).namespaced
    except (NoSuchKind, Unreachable):
        return True
