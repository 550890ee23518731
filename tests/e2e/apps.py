"""Kubernetes objects of test applications, all made of the sample image."""

from dataclasses import dataclass, field
from typing import Any

from mesh.api import names


@dataclass(frozen=True, slots=True)
class App:
    """A Deployment of servers with a service account and Services.

    ``ports`` are HTTP ports of the pod, ``tcp_ports`` echo bytes, ``greet_ports`` speak first, ``grpc_ports`` serve gRPC.
    ``services`` maps a Service's name to (its port, the pod's port); the protocol in its name is that of the pod's port.
    An App without ports only waits to be told to call others.
    """

    name: str
    image: str
    ports: tuple[int, ...] = ()
    services: dict[str, tuple[int, int]] = field(default_factory=dict)
    service_account: str = ""
    replicas: int = 1
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    tcp_ports: tuple[int, ...] = ()
    greet_ports: tuple[int, ...] = ()
    grpc_ports: tuple[int, ...] = ()
    arguments: tuple[str, ...] = ()

    def objects(self, namespace: str) -> list[dict[str, Any]]:
        """Return everything that the application is made of."""
        account = self.service_account or self.name
        return [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
            *(self._service(namespace, name, *ports) for name, ports in self.services.items()),
            {
                "apiVersion": "apps/v1",
                "kind": "Deployment",
                "metadata": {"name": self.name, "namespace": namespace},
                "spec": {
                    "replicas": self.replicas,
                    "selector": {"matchLabels": {"app": self.name}},
                    "template": {
                        "metadata": {"labels": {"app": self.name, **self.labels}, "annotations": self.annotations},
                        "spec": self.pod_spec(account),
                    },
                },
            },
        ]

    def pod_spec(self, account: str) -> dict[str, Any]:
        """Return the pod: one container that serves all ports."""
        arguments = ["server", "--name", self.name, *self.arguments]
        options = {"--port": self.ports, "--tcp-port": self.tcp_ports, "--greet-port": self.greet_ports}
        options["--grpc-port"] = self.grpc_ports
        arguments += [item for option, ports in options.items() for port in ports for item in (option, str(port))]
        container: dict[str, Any] = {
            "name": "app",
            "image": self.image,
            "args": arguments,
            "ports": [{"containerPort": port, "name": f"http-{port}"} for port in self.ports],
            "resources": {"requests": {"cpu": "5m", "memory": "24Mi"}},
        }
        if self.ports:
            path = {"path": "/ready", "port": self.ports[0]}
            container["readinessProbe"] = {"httpGet": path, "periodSeconds": 1, "timeoutSeconds": 3}
        return {
            "serviceAccountName": account,
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 30,
            "containers": [container],
        }

    def _service(self, namespace: str, name: str, port: int, target: int) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {
                "selector": {"app": self.name},
                "ports": [{"name": f"{self._protocol(target)}-{port}", "port": port, "targetPort": target}],
            },
        }

    def _protocol(self, target: int) -> str:
        if target in self.grpc_ports:
            return "grpc"
        return "tcp" if target in self.tcp_ports + self.greet_ports else "http"


def namespace_object(name: str, *, injected: bool) -> dict[str, Any]:
    """Return a namespace, labelled for injection or not."""
    labels = {names.LABEL_AUTO_INJECT: names.AUTO_INJECT_ENABLED} if injected else {}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
