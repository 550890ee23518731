"""The bus."""

from collections.abc import Iterator

from mesh.api import names
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.checks.spire import part
from mesh.ctl.cluster import ClusterError, Reader, service_proxy

_CATEGORY = Category("nats")


def findings(reader: Reader, namespace: str) -> Iterator[Finding]:
    """Check that the bus runs and that it can keep the last configuration of each group."""
    yield part(_CATEGORY, reader, namespace, names.NATS_SERVER, ("Deployment", "StatefulSet"))
    yield _health(reader, namespace)


def _health(reader: Reader, namespace: str) -> Finding:
    subject = "bus and its stream are healthy"
    repair = f"kubectl -n {namespace} logs deployment/{names.NATS_SERVER} -c {names.NATS_SERVER} --tail=50"
    try:
        answer = reader.get(service_proxy(namespace, names.NATS_SERVER, names.PORT_NATS_MONITOR, "healthz"))
    except ClusterError as error:
        return _CATEGORY.failure(subject, str(error), repair)
    if isinstance(answer, dict) and answer.get("status") == "ok":
        return _CATEGORY.ok(subject)
    return _CATEGORY.failure(subject, f"the monitor answers {answer}", repair)
