"""The controller: runs, leads, is connected, has a configuration that it accepts."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import (
    CONDITION_TRANSPARENT,
    REASON_PROXYING,
    REASON_STOPPED_SUFFIX,
    parse_mesh_config,
)
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.checks.spire import part
from mesh.ctl.cluster import ClusterError, NotFoundError, Reader, core, grouped, service_proxy

_CATEGORY = Category("controller")


def status(reader: Reader, namespace: str) -> dict[str, Any]:
    """Ask the controller what it knows of itself and of the sidecars. Raises ClusterError."""
    answer = reader.get(service_proxy(namespace, names.CONTROLLER, names.PORT_CONTROLLER_API, "status"))
    if not isinstance(answer, dict):
        raise ClusterError(f"the controller's status is no object: {str(answer)[:80]}")
    return answer


def findings(reader: Reader, namespace: str, now: datetime) -> Iterator[Finding]:
    """Check what decides for all sidecars."""
    yield part(_CATEGORY, reader, namespace, names.CONTROLLER, ("Deployment",))
    yield _leader(reader, namespace, now)
    yield _settings(reader, namespace)
    yield _transparent(reader, namespace)
    yield _published(reader, namespace)
    yield _bus(reader, namespace)


def _leader(reader: Reader, namespace: str, now: datetime) -> Finding:
    subject = "a controller leads"
    restart = f"kubectl -n {namespace} rollout restart deployment/{names.CONTROLLER}"
    try:
        lease = reader.get(grouped("coordination.k8s.io/v1", "leases", namespace, names.LEADER_LEASE))
    except NotFoundError:
        return _CATEGORY.failure(subject, f"there is no Lease {namespace}/{names.LEADER_LEASE}", restart)
    spec = lease.get("spec") or {}
    holder, renewed = spec.get("holderIdentity"), spec.get("renewTime")
    if not holder or not renewed:
        return _CATEGORY.failure(subject, "nobody holds the Lease", restart)
    age = (now - datetime.fromisoformat(renewed)).total_seconds()
    if age > 2 * float(spec.get("leaseDurationSeconds") or 15):
        return _CATEGORY.failure(subject, f"{holder} has not renewed the Lease for {age:.0f} s", restart)
    return _CATEGORY.ok(f"{holder} leads")


def _settings(reader: Reader, namespace: str) -> Finding:
    subject = f"MeshConfig {names.MESH_CONFIG_NAME} is valid"
    path = grouped(f"{names.GROUP_NSM}/v1alpha2", "meshconfigs", namespace, names.MESH_CONFIG_NAME)
    try:
        found = parse_mesh_config(reader.get(path))
    except NotFoundError as error:
        return _CATEGORY.failure(subject, str(error), "pulumi up")
    except InvalidInputError as error:
        repair = f"kubectl -n {namespace} edit meshconfig {names.MESH_CONFIG_NAME}"
        return _CATEGORY.failure(subject, str(error), repair)
    return _CATEGORY.ok(f"MeshConfig {names.MESH_CONFIG_NAME} is valid (mTLS {found.spec.mtls.mode})")


def transparency(reader: Reader, namespace: str) -> tuple[str, str]:
    """Reason and message of the MeshConfig's word about transparent proxies; empty when it says nothing. Raises ClusterError."""
    path = grouped(f"{names.GROUP_NSM}/v1alpha2", "meshconfigs", namespace, names.MESH_CONFIG_NAME)
    try:
        status_of = reader.get(path).get("status") or {}
    except NotFoundError:
        return "", ""
    rows = [row for row in status_of.get("conditions") or [] if row.get("type") == CONDITION_TRANSPARENT]
    return (rows[0].get("reason", ""), rows[0].get("message", "")) if rows else ("", "")


def _transparent(reader: Reader, namespace: str) -> Finding:
    """Proxies that pass everything are on purpose, but nobody should forget them."""
    subject = "traffic is proxied"
    reason, message = transparency(reader, namespace)
    if reason in {"", REASON_PROXYING}:
        return _CATEGORY.ok(subject)
    if reason.endswith(REASON_STOPPED_SUFFIX):
        return _CATEGORY.failure(subject, f"{reason}: {message}", "docs/operations/remove.md, It stops")
    repair = (
        f"a removal ends by itself; else kubectl -n {namespace} patch configmap {names.MESHCONFIG_CONFIGMAP} "
        """--type=merge -p '{"data":{"transparent":"false"}}'"""
    )
    return _CATEGORY.warning(subject, f"{reason}: {message}", repair)


def _published(reader: Reader, namespace: str) -> Finding:
    """The ConfigMap that scripts and `meshctl inject` read must follow the MeshConfig."""
    subject = f"configmap/{names.MESHCONFIG_CONFIGMAP} is written"
    restart = f"kubectl -n {namespace} rollout restart deployment/{names.CONTROLLER}"
    try:
        found = reader.get(core("configmaps", namespace, names.MESHCONFIG_CONFIGMAP))
    except NotFoundError as error:
        return _CATEGORY.failure(subject, str(error), "pulumi up")
    if not (found.get("data") or {}).get(names.MESHCONFIG_CONFIGMAP_KEY):
        return _CATEGORY.failure(
            subject, f"it has no {names.MESHCONFIG_CONFIGMAP_KEY}: the controller writes it", restart
        )
    return _CATEGORY.ok(subject)


def _bus(reader: Reader, namespace: str) -> Finding:
    subject = "the controller is on the bus"
    logs = f"kubectl -n {namespace} logs deployment/{names.CONTROLLER} --tail=50"
    try:
        answer = status(reader, namespace)
    except ClusterError as error:
        return _CATEGORY.failure(subject, f"its status cannot be read: {error}", logs)
    if answer.get("bus_connected"):
        return _CATEGORY.ok(subject)
    cause = (
        f"it is not connected ({answer.get('missing') or 'no reason given'}); sidecars keep their last configuration"
    )
    return _CATEGORY.failure(subject, cause, logs)
