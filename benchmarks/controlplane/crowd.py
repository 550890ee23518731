"""A cluster of many Services and pods without kubelets: a real API server, its controllers, and kwok for the pods."""

import contextlib
import itertools
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from embedded.tools import paths
from mesh.admission.group import pod_facts, sidecar_group
from mesh.api import names
from tests.apiserver import ApiServer, running

WRITERS = 12
SETTLE_SECONDS = 300.0
_PODS_PER_NODE = 200
_PORT = 8080
_STAGES = Path(__file__).with_name("stages.yaml")


@dataclass(frozen=True, slots=True)
class Size:
    """How much there is: ``services`` in ``namespaces``, each with ``replicas`` pods; callers know ``scope`` namespaces."""

    namespaces: int = 100
    services: int = 1000
    replicas: int = 10
    scope: int = 3

    @property
    def pods(self) -> int:
        """All of them."""
        return self.services * self.replicas


class Crowd:
    """The objects, and what happens to them."""

    def __init__(self, api: ApiServer, size: Size) -> None:
        self.api = api
        self.size = size
        self._serial = itertools.count()
        self._live: dict[int, list[str]] = {number: [] for number in range(size.services)}
        self._service_of = {self.group(number): number for number in range(size.services)}

    def namespace(self, service: int) -> str:
        """Where Service number *service* is."""
        return f"crowd-{service % self.size.namespaces:03d}"

    def group(self, service: int) -> str:
        """The sidecar group of its pods."""
        name = f"app-{service}"
        return sidecar_group(self.namespace(service), "default", "Deployment", name, pod_facts(_pod(name, "")))

    def pods_of(self, group: str) -> list[str]:
        """The pods of a group, as ``namespace/name``."""
        service = self._service_of.get(group)
        return [] if service is None else [f"{self.namespace(service)}/{name}" for name in list(self._live[service])]

    def fill(self) -> None:
        """Make everything, and wait until kwok runs all pods and every Service has its endpoints."""
        size = self.size
        nodes = -(-size.pods // _PODS_PER_NODE) + 1
        # Fake pods of all nodes share one network of 10.64.0.0/10.
        self._all(lambda number: self._post("/api/v1/nodes", _node(number)), range(nodes))
        self._all(lambda number: self._post("/api/v1/namespaces", self._namespace(number)), range(size.namespaces))
        self._all(self._make_service, range(size.services))
        self._all(lambda number: self.add_pod(number % size.services), range(size.pods))
        self.wait_settled()

    def add_pod(self, service: int) -> None:
        """One more pod of a Service."""
        serial = next(self._serial)
        name = f"app-{service}-{serial}"
        node = f"node-{serial % (self.size.pods // _PODS_PER_NODE + 1)}"
        manifest = _pod(f"app-{service}", node)
        manifest["metadata"] |= {"name": name, "annotations": {names.ANNOTATION_GROUP: self.group(service)}}
        manifest["metadata"]["labels"][names.LABEL_STATUS] = names.STATUS_INJECTED
        self._post(f"/api/v1/namespaces/{self.namespace(service)}/pods", manifest)
        self._live[service].append(name)

    def replace_pod(self, service: int) -> None:
        """The oldest pod of a Service goes, another comes."""
        self.api.request("DELETE", f"/api/v1/namespaces/{self.namespace(service)}/pods/{self._live[service].pop(0)}")
        self.add_pod(service)

    def set_ready(self, service: int, slice_: str, *, ready: bool) -> None:
        """Say of the first endpoint of a slice whether it is ready."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace(service)}/endpointslices/{slice_}"
        patch = [{"op": "replace", "path": "/endpoints/0/conditions/ready", "value": ready}]
        self.api.request("PATCH", path, patch, "application/json-patch+json")

    def make_flapping_slice(self, service: int) -> str:
        """A slice that no controller of the cluster writes; return its name."""
        name = f"flap-{service}"
        manifest = {
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": f"app-{service}"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": _PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": ["10.250.0.1"], "conditions": {"ready": True}}],
        }
        self._post(f"/apis/discovery.k8s.io/v1/namespaces/{self.namespace(service)}/endpointslices", manifest)
        return name

    def wait_settled(self) -> None:
        """Wait until every pod is an endpoint. Raises TimeoutError."""
        end = time.monotonic() + SETTLE_SECONDS
        while (found := self._endpoints()) < self.size.pods:
            if time.monotonic() > end:
                raise TimeoutError(f"{found} of {self.size.pods} endpoints")
            time.sleep(1)

    def _endpoints(self) -> int:
        found = self.api.request("GET", "/apis/discovery.k8s.io/v1/endpointslices?resourceVersion=0")
        return sum(
            1
            for row in found["items"]
            for endpoint in row.get("endpoints") or ()
            if row["metadata"]["namespace"].startswith("crowd-") and endpoint["conditions"].get("ready")
        )

    def _namespace(self, number: int) -> dict[str, Any]:
        size = self.size
        scope = {f"crowd-{(number + step) % size.namespaces:03d}" for step in range(size.scope)}
        annotations = {names.ANNOTATION_EGRESS_SCOPE: ",".join(sorted(scope))} if size.scope else {}
        labels = {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}
        return {"metadata": {"name": f"crowd-{number:03d}", "labels": labels, "annotations": annotations}}

    def _make_service(self, number: int) -> None:
        spec = {
            "selector": {"app": f"app-{number}"},
            "ports": [{"name": "http", "port": 80, "targetPort": _PORT}],
        }
        path = f"/api/v1/namespaces/{self.namespace(number)}/services"
        self._post(path, {"metadata": {"name": f"app-{number}"}, "spec": spec})

    def _post(self, path: str, manifest: dict[str, Any]) -> None:
        self.api.request("POST", path, manifest)

    def _all(self, work: Callable[[int], None], numbers: Iterable[int]) -> None:
        with ThreadPoolExecutor(WRITERS) as pool:
            for _ in pool.map(work, numbers):
                pass


def _node(number: int) -> dict[str, Any]:
    return {
        "metadata": {"name": f"node-{number}"},
        "spec": {"podCIDR": f"10.{64 + number // 64}.{number % 64 * 4}.0/22"},
    }


def _pod(app: str, node: str) -> dict[str, Any]:
    ports = [{"name": "http", "containerPort": _PORT, "protocol": "TCP"}]
    return {
        "metadata": {"labels": {"app": app}},
        "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app:1", "ports": ports}]},
    }


@contextlib.contextmanager
def crowd(directory: Path, size: Size) -> Iterator[Crowd]:
    """The cluster, filled, for the length of a with statement."""
    with running(directory / "api", "198.19.240.0/20") as api, open(directory / "kwok.log", "wb") as log:
        command = [str(paths.path_of("kwok")), "--kubeconfig", str(api.kubeconfig), "--config", str(_STAGES)]
        options = ["--manage-all-nodes", "--node-lease-duration-seconds", "0"]
        kwok = subprocess.Popen([*command, *options], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            made = Crowd(api, size)
            made.fill()
            yield made
        finally:
            kwok.terminate()
            kwok.wait(20)
