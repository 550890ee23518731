"""Register manifests as plain resources of pulumi_kubernetes, under the names that they have in the cluster."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.manifest import Manifest

_CLASSES: dict[tuple[str, str], Any] = {
    ("v1", "Namespace"): k8s.core.v1.Namespace,
    ("v1", "ConfigMap"): k8s.core.v1.ConfigMap,
    ("v1", "Secret"): k8s.core.v1.Secret,
    ("v1", "Service"): k8s.core.v1.Service,
    ("v1", "ServiceAccount"): k8s.core.v1.ServiceAccount,
    ("apps/v1", "DaemonSet"): k8s.apps.v1.DaemonSet,
    ("apps/v1", "Deployment"): k8s.apps.v1.Deployment,
    ("apps/v1", "StatefulSet"): k8s.apps.v1.StatefulSet,
    ("rbac.authorization.k8s.io/v1", "ClusterRole"): k8s.rbac.v1.ClusterRole,
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"): k8s.rbac.v1.ClusterRoleBinding,
    ("rbac.authorization.k8s.io/v1", "Role"): k8s.rbac.v1.Role,
    ("rbac.authorization.k8s.io/v1", "RoleBinding"): k8s.rbac.v1.RoleBinding,
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"): k8s.apiextensions.v1.CustomResourceDefinition,
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    ): k8s.admissionregistration.v1.MutatingWebhookConfiguration,
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    ): k8s.admissionregistration.v1.ValidatingWebhookConfiguration,
}
_CAPITAL = re.compile(r"(?<!^)([A-Z])")
# A first start pulls images and waits for certificates; a machine that builds at the same time is slow.
_TIMEOUT = "8m"


def register(
    manifest: Manifest,
    parent: pulumi.Resource,
    *,
    depends_on: Sequence[pulumi.Resource] = (),
    ignore_changes: Iterable[str] = (),
    retain: bool = False,
    provider: pulumi.ProviderResource | None = None,
    delete_seconds: int | None = None,
) -> pulumi.Resource:
    """Make the resource of one manifest. Its Pulumi name is the object's, so URNs can be guessed and imports are easy.

    *delete_seconds* is how long its deletion is waited for.
    """
    options = pulumi.ResourceOptions(
        parent=parent,
        depends_on=list(depends_on),
        ignore_changes=list(ignore_changes),
        retain_on_delete=retain,
        provider=provider,
        custom_timeouts=pulumi.CustomTimeouts(
            create=_TIMEOUT, update=_TIMEOUT, delete=f"{delete_seconds}s" if delete_seconds else _TIMEOUT
        ),
    )
    name = manifest["metadata"]["name"]
    fields = {key: value for key, value in manifest.items() if key not in {"apiVersion", "kind"}}
    known = _CLASSES.get((manifest["apiVersion"], manifest["kind"]))
    if known is None:
        return k8s.apiextensions.CustomResource(
            name, api_version=manifest["apiVersion"], kind=manifest["kind"], opts=options, **fields
        )
    resource: pulumi.Resource = known(name, opts=options, **{_snake(key): value for key, value in fields.items()})
    return resource


def register_all(
    manifests: Iterable[Manifest], parent: pulumi.Resource, *, depends_on: Sequence[pulumi.Resource] = ()
) -> list[pulumi.Resource]:
    """Make the resources of manifests that do not wait for one another."""
    return [register(manifest, parent, depends_on=depends_on) for manifest in manifests]


def _snake(key: str) -> str:
    return _CAPITAL.sub(r"_\1", key).lower()
