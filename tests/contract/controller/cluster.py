"""The cluster that the controller's tests act on, written short."""

import asyncio
import json
import secrets
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mesh.api import crd, names
from mesh.api.cluster_spiffe_id import CLUSTER_SPIFFE_ID
from mesh.api.kinds import POLICY_KINDS
from mesh.api.mesh_config import MESH_CONFIG
from mesh.bus import connection
from mesh.bus.connection import Message, Session
from mesh.controller.main import Settings, run
from mesh.model import codec, reports
from mesh.model.reports import SidecarReport
from mesh.spiffe import tls
from tests.apiserver import ApiError, ApiServer
from tests.fakes.authority import Authority, Issued
from tests.fakes.nats_server import CONTROLLER_PATH, SIDECAR_NAME, NatsServer
from tests.fakes.workload_api import WorkloadApi

GROUP = "0123456789abcdef"
MANIFESTS = (MESH_CONFIG, CLUSTER_SPIFFE_ID, *POLICY_KINDS)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Cluster:
    """One mesh: a namespace of the API server, a bus, an identity."""

    def __init__(self, api: ApiServer, nats: NatsServer, workload_api: WorkloadApi, authority: Authority) -> None:
        self.api = api
        self.nats = nats
        self.workload_api = workload_api
        self.authority = authority
        self.namespace = f"mesh-{secrets.token_hex(3)}"
        self.shop = f"shop-{secrets.token_hex(3)}"
        self.api_port, self.webhook_port, self.health_port = free_port(), free_port(), free_port()

    @property
    def bus_host(self) -> str:
        """What the bus's SVID must name."""
        return connection.server_host(self.namespace)

    def install(self) -> None:
        """What Pulumi makes before the controller runs."""
        for kind in MANIFESTS:
            manifest = crd.definition(kind)
            if not self.api.exists(f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.name}"):
                self.api.request("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", manifest)
            self.api.wait_for(f"/apis/{kind.api_version}/{kind.plural}")
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.namespace}})
        labels = {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED}
        self.api.request("POST", "/api/v1/namespaces", {"metadata": {"name": self.shop, "labels": labels}})
        for name in (names.MESHCONFIG_CONFIGMAP, names.SPIRE_BUNDLE_CONFIGMAP):
            self.api.request("POST", f"/api/v1/namespaces/{self.namespace}/configmaps", {"metadata": {"name": name}})
        self.make_mesh_config()

    def remove(self) -> None:
        """Everything that a test has made; pods first and at once, since no kubelet ends them here."""
        self.api.request("DELETE", f"/api/v1/namespaces/{self.shop}/pods?gracePeriodSeconds=0")
        if self.api.exists(self.mesh_config_path):
            self.api.merge(self.mesh_config_path, {"metadata": {"finalizers": []}})
        namespaces = [f"/api/v1/namespaces/{name}" for name in (self.namespace, self.shop)]
        for path in [*namespaces, *self._cluster_objects()]:
            try:
                self.api.request("DELETE", path)
            except ApiError as error:
                if error.status not in {404, 409}:  # gone, or going
                    raise

    def _cluster_objects(self) -> list[str]:
        webhooks = "/apis/admissionregistration.k8s.io/v1"
        return [
            f"{webhooks}/validatingwebhookconfigurations/{names.VALIDATING_WEBHOOK}",
            f"{webhooks}/mutatingwebhookconfigurations/{names.MUTATING_WEBHOOK}",
            "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids/workloads",
        ]

    @property
    def mesh_config_path(self) -> str:
        """Where the MeshConfig is."""
        return f"/apis/nsm.nginx.com/v1alpha2/namespaces/{self.namespace}/meshconfigs/{names.MESH_CONFIG_NAME}"

    def make_mesh_config(self, **spec: Any) -> None:
        """The MeshConfig that counts."""
        whole = {"meshConfigClassName": names.mesh_config_class(self.namespace), **spec}
        manifest = {
            "apiVersion": "nsm.nginx.com/v1alpha2",
            "kind": "MeshConfig",
            "metadata": {"name": names.MESH_CONFIG_NAME},
            "spec": whole,
        }
        self.api.request("POST", self.mesh_config_path.rpartition("/")[0], manifest)

    def make_pod(self, name: str, address: str, group: str = GROUP) -> None:
        """An injected pod that runs at *address*."""
        manifest = {
            "metadata": {
                "name": name,
                "labels": {"app": "web", names.LABEL_STATUS: names.STATUS_INJECTED},
                "annotations": {names.ANNOTATION_GROUP: group},
            },
            "spec": {"containers": [{"name": "app", "image": "a:1"}], "serviceAccountName": "web"},
        }
        path = f"/api/v1/namespaces/{self.shop}/pods"
        self.api.request("POST", path, manifest)
        status = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
        self.api.merge(f"{path}/{name}", {"status": status}, subresource="status")

    def make_service(self) -> None:
        """Service web, without endpoints: its selector is none, so that the tests own its slices."""
        spec = {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}
        self.api.request(
            "POST", f"/api/v1/namespaces/{self.shop}/services", {"metadata": {"name": "web"}, "spec": spec}
        )

    def set_endpoints(self, **pods: str) -> None:
        """Make or change the slice of Service web: pod name to address."""
        manifest = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [
                {"addresses": [address], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": name}}
                for name, address in pods.items()
            ],
        }
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.shop}/endpointslices/web-1?fieldManager=test&force=true"
        self.api.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def set_split(self, first: int, second: int) -> None:
        """Make or change a TrafficSplit of Service web: the weights of web and of web-v2."""
        backends = [{"service": "web", "weight": first}, {"service": "web-v2", "weight": second}]
        manifest = {
            "apiVersion": "split.smi-spec.io/v1alpha3",
            "kind": "TrafficSplit",
            "metadata": {"name": "steps"},
            "spec": {"service": "web", "backends": backends},
        }
        path = (
            f"/apis/split.smi-spec.io/v1alpha3/namespaces/{self.shop}/trafficsplits/steps?fieldManager=test&force=true"
        )
        self.api.request("PATCH", path, manifest, "application/apply-patch+yaml")

    def controller_svid(self, *dns_names: str) -> Issued:
        """An SVID as the controller's ClusterSPIFFEID gives it."""
        return self.authority.issue(CONTROLLER_PATH, dns_names or (f"nginx-mesh-webhook.{self.namespace}.svc",))

    @asynccontextmanager
    async def controller(self, pod: str = "controller-0", **more: Any) -> AsyncIterator["asyncio.Task[int]"]:
        """A replica, for the length of a with statement."""
        settings = Settings(
            installation(self.namespace),
            pod,
            str(self.api.kubeconfig),
            str(self.workload_api.socket),
            self.nats.url,
            **({"api_port": self.api_port, "webhook_port": self.webhook_port, "health_port": self.health_port} | more),
        )
        stop = asyncio.Event()
        task = asyncio.create_task(run(settings, stop))
        try:
            yield task
        finally:
            stop.set()
            await asyncio.wait_for(task, 15)

    @asynccontextmanager
    async def sidecar(self, group: str = GROUP) -> AsyncIterator["Sidecar"]:
        """The bus's side of a sidecar of *group*."""
        identity = self.authority.issue(f"/ns/{self.shop}/sa/web", ("web-0", SIDECAR_NAME))
        client = connection.connect(
            self.nats.url, lambda: tls.client_context(identity.context()), "sidecar", self.bus_host
        )
        async with client as session:
            sidecar = Sidecar(session, group)
            await session.subscribe(names.config_subject(group), sidecar.take)
            await session.subscribe(names.SUBJECT_PING, sidecar.beacons.append)
            last = await session.last_message(names.config_subject(group))
            if last:
                sidecar.take(last)
            yield sidecar

    async def fetch(self, port: int, path: str) -> tuple[int, Any]:
        """Status and JSON of a plain HTTP request to the controller."""
        return await asyncio.to_thread(_fetch, f"http://127.0.0.1:{port}{path}", None, None)

    async def review(self, path: str, request: dict[str, Any]) -> dict[str, Any]:
        """Ask a webhook as the API server does: over TLS, trusting the bundle, checking the Service's name."""
        context = ssl.create_default_context(cadata=self.authority.bundle)
        context.check_hostname = False  # 127.0.0.1 is not the Service; the name is checked below
        document = {"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", **request}}
        url = f"https://127.0.0.1:{self.webhook_port}{path}"
        status, answer = await asyncio.to_thread(_fetch, url, document, context)
        assert status == 200
        assert answer["response"]["uid"] == "1"
        response: dict[str, Any] = answer["response"]
        return response

    async def served_serial(self) -> str:
        """Serial number of the certificate that the webhooks serve with, in hexadecimal."""
        context = ssl.create_default_context(cadata=self.authority.bundle)
        name = f"nginx-mesh-webhook.{self.namespace}.svc"
        _, writer = await asyncio.open_connection("127.0.0.1", self.webhook_port, ssl=context, server_hostname=name)
        certificate = writer.get_extra_info("peercert")
        writer.close()
        return str(certificate["serialNumber"]).lower().lstrip("0")


class Sidecar:
    """What arrived for one group, newest last, and beacons."""

    def __init__(self, session: Session, group: str) -> None:
        self.session = session
        self.group = group
        self.received: list[codec.Decoded] = []
        self.beacons: list[Message] = []

    def take(self, message: Message) -> None:
        """A configuration."""
        self.received.append(codec.decode(message.headers, message.payload))

    def endpoints(self) -> list[tuple[str, str]]:
        """Address and identity of what is behind Service web now."""
        if not self.received:
            return []
        services = self.received[-1].config.services
        return [
            (row.address, row.identity) for service in services if service.service == "web" for row in service.endpoints
        ]

    async def report(self, pod: str, **facts: Any) -> None:
        """Say what is applied, as the agent does."""
        report = SidecarReport(pod, self.group, **facts)
        await self.session.publish(names.SUBJECT_SUBSCRIPTION, reports.encode_report(report))
        await self.session.flush()


def installation(namespace: str) -> dict[str, Any]:
    """The part of meshconfig.json that Pulumi fixes."""
    return {
        "namespace": namespace,
        "environment": "kubernetes",
        "enableUDP": False,
        "mtls": {"trustDomain": "example.org"},
        "registry": {"imagePullPolicy": "Never", "sidecarImage": "sidecar:1", "sidecarInitImage": "init:1"},
    }


def _fetch(url: str, document: Any, context: ssl.SSLContext | None) -> tuple[int, Any]:
    data = None if document is None else json.dumps(document).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=30, context=context) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
    except (urllib.error.URLError, OSError):
        return 0, {}


async def wait_until_ready(cluster: Cluster, port: int, within: float) -> None:
    """Wait for a replica; a replica that does not become ready is told with its reasons."""
    body: Any = {}
    try:
        async with asyncio.timeout(within):
            status = 0
            while status != 200:
                status, body = await cluster.fetch(port, "/ready")
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise TimeoutError(f"not ready: {body}") from None


def directory_of(base: Path, name: str) -> Path:
    """A directory of its own for one server."""
    path = base / name
    path.mkdir()
    return path
