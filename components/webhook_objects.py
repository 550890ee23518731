"""Which pods are injected and which objects are validated (contract 5.webhook).

The CA bundles are the controller's; here nothing stands in their place. Defaults of the API server are written out.
"""

from components import manifest
from components.manifest import Manifest
from mesh.api import names
from mesh.api.crd import Kind
from mesh.api.kinds import POLICY_KINDS
from mesh.api.mesh_config import MESH_CONFIG

_PART = names.CONTROLLER
_TIMEOUT_SECONDS = 5
_NAMESPACE_NAME = "kubernetes.io/metadata.name"
_NEVER_INJECTED = ("kube-system", "kube-node-lease")
_OURS = " || ".join(f"key.lowerAscii().startsWith('{prefix}')" for prefix in names.ANNOTATION_PREFIXES)
_ANNOTATED = " || ".join(
    f"(has(object.metadata.{field}) && object.metadata.{field}.exists(key, {_OURS}))"
    for field in ("annotations", "labels")
)


def injector(namespace: str, failure_policy: str) -> Manifest:
    """One entry for labelled namespaces, one for labelled pods elsewhere, two for gateways; one of them for a pod."""
    elsewhere = _expression(names.LABEL_AUTO_INJECT, "NotIn", names.AUTO_INJECT_ENABLED)
    not_injected = _expression(names.LABEL_STATUS, "NotIn", names.STATUS_INJECTED)
    not_disabled = _expression(names.LABEL_AUTO_INJECT, "NotIn", names.AUTO_INJECT_DISABLED)
    no_ingress = _expression(names.LABEL_ENABLE_INGRESS, "NotIn", "true")
    no_egress = _expression(names.LABEL_ENABLE_EGRESS, "NotIn", "true")
    enabled = {"matchLabels": {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}}
    allowed = _expression(_NAMESPACE_NAME, "NotIn", *_NEVER_INJECTED, namespace)
    pods = [_rule("", "v1", ["CREATE"], "pods")]
    entries = [
        _entry("nginx-mesh-controller.sidecar.injector", namespace, names.INJECT_PATH, failure_policy, pods)
        | {
            "namespaceSelector": enabled | {"matchExpressions": [allowed]},
            "objectSelector": {"matchExpressions": [not_disabled, not_injected, no_ingress, no_egress]},
            "reinvocationPolicy": "Never",
        },
        _entry("nginx-mesh-controller-obj.sidecar.injector", namespace, names.INJECT_PATH, failure_policy, pods)
        | {
            "namespaceSelector": {"matchExpressions": [allowed, elsewhere]},
            "objectSelector": enabled | {"matchExpressions": [not_injected, no_ingress, no_egress]},
            "reinvocationPolicy": "Never",
        },
        _entry("nginx-mesh-controller-ingress.sidecar.injector", namespace, names.INJECT_PATH, failure_policy, pods)
        | {
            "namespaceSelector": {"matchExpressions": [allowed]},
            "objectSelector": {"matchLabels": {names.LABEL_ENABLE_INGRESS: "true"}},
            "reinvocationPolicy": "Never",
        },
        _entry("nginx-mesh-controller-egress.sidecar.injector", namespace, names.INJECT_PATH, failure_policy, pods)
        | {
            "namespaceSelector": {"matchExpressions": [allowed]},
            "objectSelector": {
                "matchLabels": {names.LABEL_ENABLE_EGRESS: "true"},
                "matchExpressions": [no_ingress],
            },
            "reinvocationPolicy": "Never",
        },
    ]
    return _configuration("MutatingWebhookConfiguration", names.MUTATING_WEBHOOK, entries)


def validator(namespace: str) -> Manifest:
    """Policies everywhere and the mesh's own MeshConfigs are read before they count; what goes waits for nobody.

    So are annotations of ours on Services and Namespaces, of which the webhook is asked about no other.
    """
    own = {"matchExpressions": [_expression(_NAMESPACE_NAME, "In", namespace)]}
    entries = []
    for part, kinds, where in (("policy", POLICY_KINDS, {}), ("meshconfig", (MESH_CONFIG,), own)):
        selectors: Manifest = {"namespaceSelector": where, "objectSelector": {}}
        changes = [_judged(kind, "CREATE", "UPDATE") for kind in kinds]
        name = f"nginx-mesh-controller.{part}.validator"
        entries.append(_entry(name, namespace, names.VALIDATE_PATH, "Fail", changes) | selectors)
        # A namespace that is deleted, perhaps with the controller in it, could never be emptied otherwise.
        deletions = [_judged(kind, "DELETE") for kind in kinds]
        name = f"nginx-mesh-controller.{part}-deletion.validator"
        entries.append(_entry(name, namespace, names.VALIDATE_PATH, "Ignore", deletions) | selectors)
    entries.append(_annotations_entry(namespace))
    return _configuration("ValidatingWebhookConfiguration", names.VALIDATING_WEBHOOK, entries)


def _annotations_entry(namespace: str) -> Manifest:
    """Ignore, since Services and Namespaces are everybody's: while the controller is away an event tells what is wrong."""
    changes = [
        _rule("", "v1", ["CREATE", "UPDATE"], "services"),
        _rule("", "v1", ["CREATE", "UPDATE"], "namespaces") | {"scope": "Cluster"},
    ]
    name = "nginx-mesh-controller.annotation.validator"
    return _entry(name, namespace, names.VALIDATE_PATH, "Ignore", changes) | {
        "matchConditions": [{"name": "annotated", "expression": _ANNOTATED}],
        "namespaceSelector": {},
        "objectSelector": {},
    }


def _judged(kind: Kind, *operations: str) -> Manifest:
    """Every served version as it was sent: a converted object would have lost what the other version does not know."""
    return _rule(kind.group, "*", list(operations), kind.plural)


def _configuration(kind: str, name: str, entries: list[Manifest]) -> Manifest:
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": kind,
        "metadata": manifest.metadata(name, part=_PART, labels={names.LABEL_SPIFFE_WEBHOOK: "true"}),
        "webhooks": entries,
    }


def _entry(name: str, namespace: str, path: str, failure_policy: str, rules: list[Manifest]) -> Manifest:
    service = {
        "name": names.WEBHOOK_SERVICE,
        "namespace": namespace,
        "path": path,
        "port": names.PORT_WEBHOOK_SERVICE,
    }
    return {
        "name": name,
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"service": service},
        "failurePolicy": failure_policy,
        "matchPolicy": "Equivalent",
        "sideEffects": "None",
        "timeoutSeconds": _TIMEOUT_SECONDS,
        "rules": rules,
    }


def _rule(group: str, version: str, operations: list[str], resource: str) -> Manifest:
    return {
        "apiGroups": [group],
        "apiVersions": [version],
        "operations": operations,
        "resources": [resource],
        "scope": "Namespaced",
    }


def _expression(key: str, operator: str, *values: str) -> Manifest:
    return {"key": key, "operator": operator, "values": list(values)}
