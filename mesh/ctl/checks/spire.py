"""The certificate authority: server, agents, trust bundle, registration."""

import ssl
from collections.abc import Iterator
from datetime import datetime, timedelta

from mesh.api import names
from mesh.ctl.checks import workloads
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.cluster import NotFoundError, Reader, core, grouped
from mesh.spiffe import certificate, der

_CATEGORY = Category("spire")
_SOON = timedelta(days=2)
_END = "-----END CERTIFICATE-----"


def findings(reader: Reader, namespace: str, now: datetime) -> Iterator[Finding]:
    """Check that every pod can get a certificate, and that everybody trusts the same roots."""
    for name, workload_kinds in (
        (names.SPIRE_SERVER, ("StatefulSet", "Deployment")),
        (names.SPIRE_AGENT, ("DaemonSet",)),
    ):
        yield part(_CATEGORY, reader, namespace, name, workload_kinds)
    yield _bundle(reader, namespace, now)
    yield _registration(reader)


def part(category: Category, reader: Reader, namespace: str, name: str, workload_kinds: tuple[str, ...]) -> Finding:
    """Check one workload of the mesh."""
    workload = workloads.find(reader, namespace, name, workload_kinds)
    subject = f"{name} is ready"
    if workload is None:
        return category.failure(subject, f"there is no {workload_kinds[0]} {namespace}/{name}", "pulumi up")
    if workload.is_ready:
        return category.ok(f"{workload.reference} is ready ({workload.ready} of {workload.desired})")
    cause = workloads.explain(reader, workload)
    if workload.desired == 0 and workload.kind != "DaemonSet":
        return category.failure(subject, cause, f"kubectl -n {namespace} scale {workload.reference} --replicas=1")
    return category.failure(
        subject, cause, f"kubectl -n {namespace} logs {workload.reference} --all-containers --tail=50"
    )


def _bundle(reader: Reader, namespace: str, now: datetime) -> Finding:
    subject = "trust bundle is filled and valid"
    place = f"ConfigMap {namespace}/{names.SPIRE_BUNDLE_CONFIGMAP}"
    try:
        pem = bundle_pem(reader, namespace)
    except NotFoundError:
        return _CATEGORY.failure(subject, f"there is no {place}", "pulumi up")
    if not pem:
        repair = f"kubectl -n {namespace} logs statefulset/{names.SPIRE_SERVER} -c {names.SPIRE_SERVER}"
        return _CATEGORY.failure(subject, f"{place} is empty: the SPIRE server fills it when it starts", repair)
    try:
        roots = [certificate.parse(ssl.PEM_cert_to_DER_cert(block)) for block in split_pem(pem)]
    except (der.DerError, ValueError) as error:
        repair = f"kubectl -n {namespace} rollout restart statefulset/{names.SPIRE_SERVER}"
        return _CATEGORY.failure(subject, f"{place} holds no readable certificates: {error}", repair)
    newest = max(root.not_after for root in roots)
    if newest <= now:
        repair = f"kubectl -n {namespace} rollout restart statefulset/{names.SPIRE_SERVER}"
        return _CATEGORY.failure(
            subject, f"every root has expired, the last one at {newest:%Y-%m-%d %H:%M} UTC", repair
        )
    if newest - now < _SOON and all(root.not_after - root.not_before > 2 * _SOON for root in roots):
        repair = f"kubectl -n {namespace} logs statefulset/{names.SPIRE_SERVER} -c {names.SPIRE_SERVER}"
        return _CATEGORY.warning(subject, f"the last root ends at {newest:%Y-%m-%d %H:%M} UTC", repair)
    return _CATEGORY.ok(f"trust bundle holds {len(roots)} valid root(s)")


def bundle_pem(reader: Reader, namespace: str) -> str:
    """Return the trust bundle, empty when the SPIRE server has not filled it. Raises NotFoundError."""
    found = reader.get(core("configmaps", namespace, names.SPIRE_BUNDLE_CONFIGMAP))
    return str((found.get("data") or {}).get(names.SPIRE_BUNDLE_KEY) or "").strip()


def split_pem(text: str) -> list[str]:
    """Return each certificate of *text* as a PEM block of its own, without what surrounds them."""
    blocks = [block.strip() + "\n" + _END for block in text.split(_END)[:-1]]
    return [block[block.index("-----BEGIN") :] for block in blocks if "-----BEGIN" in block]


def _registration(reader: Reader) -> Finding:
    subject = "workloads are registered"
    found = reader.get(grouped(f"{names.GROUP_SPIRE}/v1alpha1", "clusterspiffeids")).get("items") or []
    ours = [item for item in found if (item["metadata"].get("labels") or {}).get(names.LABEL_PART_OF) == names.PART_OF]
    if not ours:
        return _CATEGORY.failure(
            subject, f"no ClusterSPIFFEID is labelled {names.LABEL_PART_OF}={names.PART_OF}", "pulumi up"
        )
    failed = [
        f"{item['metadata']['name']} ({stats['entryFailures']})"
        for item in ours
        if (stats := (item.get("status") or {}).get("stats") or {}).get("entryFailures")
    ]
    if failed:
        repair = "kubectl get clusterspiffeids -o yaml"
        return _CATEGORY.failure(subject, f"entries could not be made by {', '.join(failed)}", repair)
    return _CATEGORY.ok(f"workloads are registered by {len(ours)} ClusterSPIFFEIDs")
