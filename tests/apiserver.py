"""A real API server for tests: etcd, kube-apiserver and a few controllers on loopback, without nodes.

Nothing schedules pods or rolls out workloads: a test plays the kubelet and the workload controllers through the status
subresource. Namespaces, garbage collection, service accounts, quotas and endpoint slices have their real controllers.
"""

import contextlib
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from embedded.tools import paths

_CONTROLLERS = (
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
    "resourcequota-controller",
    "endpointslice-controller",
    "clusterrole-aggregation-controller",
)
_START_SECONDS = 90


class ApiError(Exception):
    """An HTTP status of 300 or more."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text[:300]}")
        self.status = status


class ApiServer:
    """A running API server: `kubeconfig` is a file for any client, `request` the shortest way to an object.

    *services* are the addresses that Services get.
    """

    def __init__(self, directory: Path, services: str) -> None:
        self.directory = directory
        self._services = services
        self.kubeconfig = directory / "kubeconfig"
        self.port = _free_port()
        self.token = secrets.token_hex(16)
        self._etcd_port, self._etcd_peer_port = _free_port(), _free_port()
        self._certificates = directory / "certificates"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._context: ssl.SSLContext | None = None

    def start(self) -> None:
        self._certificates.mkdir(parents=True)
        self._write_keys()
        self._run(
            "etcd",
            f"--data-dir={self.directory / 'etcd'}",
            "--unsafe-no-fsync",
            f"--listen-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--advertise-client-urls=http://127.0.0.1:{self._etcd_port}",
            f"--listen-peer-urls=http://127.0.0.1:{self._etcd_peer_port}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{self._etcd_peer_port}",
            f"--initial-cluster=default=http://127.0.0.1:{self._etcd_peer_port}",
        )
        self.start_api_server()
        self._run(
            "kube-controller-manager",
            f"--kubeconfig={self.kubeconfig}",
            f"--controllers={','.join(_CONTROLLERS)}",
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            "--secure-port=0",
            f"--service-account-private-key-file={self._certificates / 'accounts.pem'}",
            "--concurrent-gc-syncs=4",
            "--kube-api-qps=500",
            "--kube-api-burst=1000",
        )
        # The first sign of life of the controllers; objects in the namespace need it too.
        self.wait_for("/api/v1/namespaces/default/serviceaccounts/default")

    def start_api_server(self) -> None:
        """Start kube-apiserver, also again after `stop_api_server`; returns when it is ready."""
        self._run(
            "kube-apiserver",
            f"--etcd-servers=http://127.0.0.1:{self._etcd_port}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={self.port}",
            f"--cert-dir={self._certificates}",
            f"--token-auth-file={self._certificates / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={self._services}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={self._certificates / 'accounts.pem'}",
            f"--service-account-key-file={self._certificates / 'accounts.pem'}",
            "--allow-privileged=true",
            "--disable-admission-plugins=ServiceAccount,StorageObjectInUseProtection",
            "--profiling=false",
        )
        end = time.monotonic() + _START_SECONDS
        certificate = self._certificates / "apiserver.crt"
        while not certificate.exists():
            self._check_alive()
            _pause(end, "the API server's certificate")
        self._context = ssl.create_default_context(cafile=str(certificate))
        self._write_kubeconfig(certificate)
        self.wait_for("/readyz", text=True)

    def stop_api_server(self) -> None:
        """End kube-apiserver alone; etcd keeps everything."""
        _end(self._processes.pop("kube-apiserver"))

    def stop(self) -> None:
        for process in reversed(self._processes.values()):
            _end(process)
        self._processes.clear()

    def request(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", *, text: bool = False
    ) -> Any:
        """One request with full rights; ApiError for a refusal."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": content_type}
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", data, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30, context=self._context) as answer:
                content = answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None
        return content if text else json.loads(content)

    def watch(self, path: str, resource_version: str) -> Iterator[Any]:
        """Events of a list from a version on, until the server ends it or falls silent for five minutes."""
        request = urllib.request.Request(
            f"https://127.0.0.1:{self.port}{path}?watch=1&resourceVersion={resource_version}",
            headers={"Authorization": f"Bearer {self.token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=300, context=self._context) as answer:
                for line in answer:
                    yield json.loads(line)
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None

    def merge(self, path: str, body: Any, manager: str = "test", *, subresource: str = "") -> Any:
        """A JSON merge patch, as kubectl and controllers write."""
        place = f"{path}/{subresource}" if subresource else path
        return self.request("PATCH", f"{place}?fieldManager={manager}", body, "application/merge-patch+json")

    def exists(self, path: str) -> bool:
        try:
            self.request("GET", path)
        except ApiError as error:
            if error.status == 404:
                return False
            raise
        return True

    def wait_for(self, path: str, *, text: bool = False, seconds: float = _START_SECONDS) -> Any:
        """What stands at a path, as soon as it can be had."""
        end = time.monotonic() + seconds
        while True:
            try:
                return self.request("GET", path, text=text)
            except (ApiError, OSError) as error:
                self._check_alive()
                _pause(end, f"{path}: {error}")

    def _run(self, name: str, *arguments: str) -> None:
        # The kernel ends it with the test process, however that dies.
        guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        with open(self.directory / f"{name}.log", "ab") as log:
            command = [*guard, str(paths.path_of(name)), *arguments]
            self._processes[name] = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _check_alive(self) -> None:
        for name, process in self._processes.items():
            if process.poll() is not None:
                log = (self.directory / f"{name}.log").read_text(errors="replace")
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{log[-2000:]}")

    def _write_keys(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self._certificates / "accounts.pem").write_bytes(pem)
        (self._certificates / "tokens.csv").write_text(f"{self.token},admin,admin,system:masters\n")

    def _write_kubeconfig(self, certificate: Path) -> None:
        server = f"https://127.0.0.1:{self.port}"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": {"server": server, "certificate-authority": str(certificate)}}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "admin"}}],
            "current-context": "test",
        }
        self.kubeconfig.write_text(yaml.safe_dump(document))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _pause(end: float, what: str) -> None:
    if time.monotonic() > end:
        raise TimeoutError(what)
    time.sleep(0.1)  # the server has no signal for "ready" but to be asked


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(directory: Path, services: str = "198.19.240.0/24") -> Iterator[ApiServer]:
    """An API server for the length of a with statement."""
    server = ApiServer(directory, services)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """One API server for the whole session; tests share it, each in namespaces of its own."""
    os.environ.pop("KUBERNETES_SERVICE_HOST", None)
    with running(tmp_path_factory.mktemp("apiserver")) as server:
        yield server
