"""All categories in order; a category that cannot be read is one failed line and does not hide the others."""

from collections.abc import Callable, Iterator
from datetime import datetime

from mesh.ctl.checks import cluster, controller, nats, sidecars, spire, webhooks
from mesh.ctl.checks.finding import Category, Finding
from mesh.ctl.cluster import ClusterError, NotFoundError, Reader, core

CATEGORIES = ("cluster", "spire", "nats", "controller", "webhooks", "sidecars")


def run_checks(reader: Reader, namespace: str, now: datetime) -> Iterator[Finding]:
    """Yield the findings of every category; only the first when the cluster does not answer at all."""
    checks: dict[str, Callable[[], Iterator[Finding]]] = {
        "cluster": lambda: cluster.findings(reader, namespace),
        "spire": lambda: spire.findings(reader, namespace, now),
        "nats": lambda: nats.findings(reader, namespace),
        "controller": lambda: controller.findings(reader, namespace, now),
        "webhooks": lambda: webhooks.findings(reader, namespace),
        "sidecars": lambda: sidecars.findings(reader, namespace, now),
    }
    try:
        reader.get("/version")
    except ClusterError as error:
        repair = "name the right cluster with --kubeconfig; for the embedded one: make up"
        yield Category("cluster").failure("the API server answers", str(error), repair)
        return
    is_installed = _is_installed(reader, namespace)
    if not is_installed:
        checks["sidecars"] = lambda: sidecars.left_behind(reader)
    # Without the namespace every other line would fail for the same reason.
    for name in CATEGORIES if is_installed else (CATEGORIES[0], CATEGORIES[-1]):
        try:
            yield from checks[name]()
        except ClusterError as error:
            repair = "kubectl auth can-i --list, as the user of this kubeconfig"
            yield Category(name).failure(f"{name} can be read", str(error), repair)


def _is_installed(reader: Reader, namespace: str) -> bool:
    try:
        reader.get(core("namespaces", name=namespace))
    except NotFoundError:
        return False
    except ClusterError:
        return True  # each category says by itself what it may not read
    return True
