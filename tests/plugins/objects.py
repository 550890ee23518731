"""Objects of the kinds of the random suite, and how each may be changed."""

from typing import Any

from tests.plugins.random_objects import (
    Maker,
    Object,
    _head,
)

GROUP = "plugins.example.com"


def change_data(maker: Maker, item: Object) -> None:
    item["data"] = {**maker.texts(), "changed": "yes"}


def edited_data(_maker: Maker, item: Object) -> Object:
    return {"data": {min(item["data"]): "edited"}}


def change_secret(_maker: Maker, item: Object) -> None:
    item["stringData"] = {"text": "changed"}


def edited_secret(_maker: Maker, _item: Object) -> Object:
    return {"data": {"data": "ZWRpdGVk"}}


def retype(_maker: Maker, item: Object) -> None:
    item["type"] = "example.com/another"


def account(maker: Maker) -> Object:
    return {
        **_head("v1", "ServiceAccount", maker),
        "automountServiceAccountToken": maker.pick(True, False),
        "imagePullSecrets": [{"name": name} for name in sorted(set(maker.some(0, 2, maker.word)))],
    }


def pod(maker: Maker) -> Object:
    return {**_head("v1", "Pod", maker), "spec": maker.pod()}


def pod_template(maker: Maker) -> Object:
    return {**_head("v1", "PodTemplate", maker), "template": maker.template({"app": "x"})}


def quota(maker: Maker) -> Object:
    hard = {
        "configmaps": maker.pick("1000", "1k", 2000),
        "count/widgets.example.com": "10",
        "requests.storage": "500Gi",
    }
    return {**_head("v1", "ResourceQuota", maker), "spec": {"hard": hard}}


def change_quota(maker: Maker, item: Object) -> None:
    item["spec"]["hard"]["services"] = maker.pick("3k", "4000")


def limits(maker: Maker) -> Object:
    limit = {"type": "PersistentVolumeClaim", "max": {"storage": maker.pick("1Ti", "1024Gi")}, "min": {"storage": "1"}}
    return {**_head("v1", "LimitRange", maker), "spec": {"limits": [limit]}}


def change_limits(maker: Maker, item: Object) -> None:
    item["spec"]["limits"][0]["max"]["storage"] = maker.pick("2048Gi", "3Ti")


def claim(maker: Maker) -> Object:
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": maker.pick(*("64Mi", "0.5Gi"))}}}
    return {**_head("v1", "PersistentVolumeClaim", maker), "spec": {**spec, "storageClassName": ""}}


def change_claim_class(_maker: Maker, item: Object) -> None:
    item["spec"]["storageClassName"] = "another"


def volume(maker: Maker) -> Object:
    item = _head("v1", "PersistentVolume", maker, namespaced=False)
    spec = {"capacity": {"storage": maker.pick("1024Mi", "0.5Gi")}, "accessModes": ["ReadWriteOnce"]}
    return {**item, "spec": {**spec, "hostPath": {"path": f"/tmp/{maker.word()}"}, "storageClassName": "manual"}}


def change_capacity(maker: Maker, item: Object) -> None:
    item["spec"]["capacity"]["storage"] = maker.pick("2048Mi", "3Gi")


def move_volume(maker: Maker, item: Object) -> None:
    item["spec"]["hostPath"]["path"] = f"/tmp/moved-{maker.name()}"


def role(kind: str) -> Any:
    def make(maker: Maker) -> Object:
        item = _head("rbac.authorization.k8s.io/v1", kind, maker, namespaced=kind == "Role")
        return {**item, "rules": maker.rules()}

    return make


def change_rules(maker: Maker, item: Object) -> None:
    item["rules"] = [*maker.rules(), {"nonResourceURLs": ["/x"], "verbs": ["get"]}][
        -1 if "namespace" not in item["metadata"] else 0 :
    ][:1]


def binding(kind: str) -> Any:
    def make(maker: Maker) -> Object:
        item = _head("rbac.authorization.k8s.io/v1", kind, maker, namespaced=kind == "RoleBinding")
        subjects = [
            {"kind": "ServiceAccount", "name": name, "namespace": maker.namespace}
            for name in maker.some(1, 2, maker.name)
        ]
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": maker.word()}
        return {**item, "subjects": subjects, "roleRef": reference}

    return make


def change_subjects(maker: Maker, item: Object) -> None:
    item["subjects"] = [{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": maker.word()}]


def rebind(_maker: Maker, item: Object) -> None:
    item["roleRef"]["name"] = "rebound"


def policy(maker: Maker) -> Object:
    peers = [{"podSelector": {"matchLabels": {"app": maker.word()}}}, {"ipBlock": {"cidr": "198.18.0.0/16"}}]
    rule = {"from": maker.pick(peers, peers[:1], []), "ports": [{"port": maker.pick(80, "http")}]}
    spec = {"podSelector": maker.pick({}, {"matchLabels": {"a": "b"}}), "ingress": maker.pick([rule], [{}], [])}
    return {**_head("networking.k8s.io/v1", "NetworkPolicy", maker), "spec": {**spec, "policyTypes": ["Ingress"]}}


def change_policy(maker: Maker, item: Object) -> None:
    item["spec"]["ingress"] = [{"ports": [{"port": maker.random.randint(1, 999), "protocol": "UDP"}]}]


def ingress(maker: Maker) -> Object:
    backend = {"service": {"name": maker.word(), "port": maker.pick({"number": 80}, {"name": "http"})}}
    paths = [{"path": f"/{word}", "pathType": "Prefix", "backend": backend} for word in maker.some(1, 3, maker.name)]
    rule = {"host": f"{maker.word()}.example.com", "http": {"paths": paths}}
    return {**_head("networking.k8s.io/v1", "Ingress", maker), "spec": {"rules": [rule]}}


def change_ingress(maker: Maker, item: Object) -> None:
    item["spec"]["rules"][0]["host"] = f"changed-{maker.name()}.example.com"


def ingress_class(maker: Maker) -> Object:
    item = _head("networking.k8s.io/v1", "IngressClass", maker, namespaced=False)
    return {**item, "spec": {"controller": f"example.com/{maker.word()}"}}


def budget(maker: Maker) -> Object:
    spec = {
        "selector": {"matchLabels": {"app": maker.word()}},
        **maker.pick({"minAvailable": 0}, {"maxUnavailable": "25%"}),
    }
    return {**_head("policy/v1", "PodDisruptionBudget", maker), "spec": spec}


def change_budget(_maker: Maker, item: Object) -> None:
    item["spec"].pop("minAvailable", None)
    item["spec"]["maxUnavailable"] = 3


def autoscaler(maker: Maker) -> Object:
    target = {"type": "AverageValue", "averageValue": maker.pick("0.5", "500m", 3)}
    metrics = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    reference = {"apiVersion": "apps/v1", "kind": "Deployment", "name": maker.word()}
    spec = {"scaleTargetRef": reference, "maxReplicas": 5, "metrics": metrics}
    return {**_head("autoscaling/v2", "HorizontalPodAutoscaler", maker), "spec": spec}


def change_autoscaler(maker: Maker, item: Object) -> None:
    item["spec"]["maxReplicas"] = maker.random.randint(6, 20)


def priority(maker: Maker) -> Object:
    item = _head("scheduling.k8s.io/v1", "PriorityClass", maker, namespaced=False)
    return {**item, "value": maker.random.randint(0, 1000), "globalDefault": False, "description": "made"}


def describe(maker: Maker, item: Object) -> None:
    item["description"] = f"changed {maker.text()}"


def edited_description(_maker: Maker, _item: Object) -> Object:
    return {"description": "edited"}


def storage_class(maker: Maker) -> Object:
    item = _head("storage.k8s.io/v1", "StorageClass", maker, namespaced=False)
    return {**item, "provisioner": f"example.com/{maker.word()}", "volumeBindingMode": "WaitForFirstConsumer"}


def change_expansion(_maker: Maker, item: Object) -> None:
    item["allowVolumeExpansion"] = True


def reprovision(maker: Maker, item: Object) -> None:
    item["provisioner"] = f"example.com/new-{maker.name()}"


def lease(maker: Maker) -> Object:
    spec = {"holderIdentity": maker.word(), "leaseDurationSeconds": maker.random.randint(1, 60)}
    return {**_head("coordination.k8s.io/v1", "Lease", maker), "spec": spec}


def change_holder(maker: Maker, item: Object) -> None:
    item["spec"]["holderIdentity"] = f"changed-{maker.name()}"


def edited_holder(_maker: Maker, _item: Object) -> Object:
    return {"spec": {"holderIdentity": "edited"}}


def runtime_class(maker: Maker) -> Object:
    item = _head("node.k8s.io/v1", "RuntimeClass", maker, namespaced=False)
    return {**item, "handler": maker.word(), "overhead": {"podFixed": {"cpu": maker.pick("0.25", "250m")}}}


def csi_driver(maker: Maker) -> Object:
    item = _head("storage.k8s.io/v1", "CSIDriver", maker, namespaced=False)
    return {**item, "spec": {"attachRequired": maker.pick(True, False), "podInfoOnMount": False}}


def webhooks(kind: str) -> Any:
    def make(maker: Maker) -> Object:
        item = _head("admissionregistration.k8s.io/v1", kind, maker, namespaced=False)
        hooks = [
            {
                "name": f"{name}.example.com",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Ignore",
                "objectSelector": {"matchLabels": {"no-such-label": "x"}},
                "clientConfig": {"service": {"namespace": maker.namespace, "name": name, "path": "/x"}},
                "rules": [
                    {
                        "apiGroups": ["none.example.com"],
                        "apiVersions": ["*"],
                        "operations": ["CREATE"],
                        "resources": ["*"],
                    }
                ],
            }
            for name in maker.some(1, 2, maker.name)
        ]
        return {**item, "webhooks": hooks}

    return make


def change_webhook(maker: Maker, item: Object) -> None:
    item["webhooks"][0]["timeoutSeconds"] = maker.random.randint(1, 9)


def endpoint_slice(maker: Maker) -> Object:
    endpoints = [
        {"addresses": [f"198.18.9.{index + 1}"], "conditions": {"ready": maker.pick(True, False)}} for index in range(3)
    ]
    item = _head("discovery.k8s.io/v1", "EndpointSlice", maker)
    return {**item, "addressType": "IPv4", "endpoints": endpoints, "ports": [{"name": "http", "port": 80}]}


def change_endpoints(_maker: Maker, item: Object) -> None:
    item["endpoints"] = item["endpoints"][1:]


def definition(maker: Maker) -> Object:
    plural = f"things{maker.random.randint(0, 10**9)}s"
    schema = {
        "type": "object",
        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {
        "plural": plural,
        "singular": plural[:-1],
        "kind": plural.capitalize(),
        "listKind": f"{plural.capitalize()}List",
    }
    item = _head("apiextensions.k8s.io/v1", "CustomResourceDefinition", maker, namespaced=False)
    item["metadata"]["name"] = f"{plural}.{GROUP}"
    return {**item, "spec": {"group": GROUP, "scope": "Namespaced", "names": names, "versions": [version]}}


def change_definition(_maker: Maker, item: Object) -> None:
    column = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
    item["spec"]["versions"][0]["additionalPrinterColumns"] = [column]


def redefine(maker: Maker, item: Object) -> None:
    fresh = definition(maker)
    item["metadata"]["name"], item["spec"] = fresh["metadata"]["name"], fresh["spec"]


def widget(maker: Maker) -> Object:
    spec = {
        "size": maker.pick("0.01", "10m", 3, 2.5),
        "nested": {"list": maker.some(0, 3, maker.text), "flag": maker.pick(True, False)},
    }
    return {**_head(f"{GROUP}/v1", "Widget", maker), "spec": spec | {"empty": maker.pick({}, [], "", 0, False)}}


def change_widget(maker: Maker, item: Object) -> None:
    item["spec"]["nested"] = {"list": [maker.text(), {"deep": maker.word()}], "more": maker.texts()}


def edited_widget(_maker: Maker, _item: Object) -> Object:
    return {"spec": {"size": "edited"}}


def namespace(maker: Maker) -> Object:
    return _head("v1", "Namespace", maker, namespaced=False)


_RBAC, _ADMISSION = "/apis/rbac.authorization.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1"
WIDGET_DEFINITION: Object = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": f"widgets.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Namespaced",
        "names": {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
                    }
                },
            }
        ],
    },
}
