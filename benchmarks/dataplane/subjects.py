"""What is compared: each subject is a pair of pods with the same application, and with its own proxies or none."""

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from benchmarks.dataplane.accounts import Account
from benchmarks.dataplane.processes import Children, Cores, in_pod
from benchmarks.dataplane.workloads import Port
from mesh.api import names
from tests.fakes.authority import Authority, Issued
from tests.nginx.binary import Binary
from tests.nginx.network import Network, Pod, run

CLIENT_ID_PATH = "/ns/shop/sa/client"
SERVER_ID_PATH = "/ns/shop/sa/server"
SERVER_NAME = "server.shop.svc"
ENDPOINTS = 5
# Services that nobody calls: their addresses are of a network that is not there (RFC 2544 benchmarking).
_OTHER_SERVICES = "198.18"
_OTHER_ENDPOINTS = "198.19.0"


@dataclass(frozen=True, slots=True)
class Service:
    """A Service's address and where its endpoints are; all have the ports of PORTS."""

    name: str
    address: str
    endpoints: tuple[str, ...]


def services(real: Service, count: int) -> list[Service]:
    """*count* Services of ENDPOINTS endpoints each; the last is the one that is called. None without proxies."""
    if not count:
        return []
    others = [
        Service(
            f"shop/other-{number}",
            f"{_OTHER_SERVICES}.{number // 250}.{number % 250 + 1}",
            tuple(f"{_OTHER_ENDPOINTS}.{(number * ENDPOINTS + host) % 250 + 1}" for host in range(ENDPOINTS)),
        )
        for number in range(count - 1)
    ]
    return [*others, real]


@dataclass(slots=True, eq=False)
class Pair:
    """Two pods, the Services that the client's proxy knows, and what starts processes there."""

    name: str
    client: Pod
    server: Pod
    known: list[Service]
    cores: Cores
    proxies: Account
    applications: Account
    children: Children
    binary: Binary
    authority: Authority
    directory: Path
    targets: int = 0

    @property
    def has_proxies(self) -> bool:
        """Whether the client's connections go through any."""
        return bool(self.known)

    @property
    def service(self) -> Service:
        """The one that is called."""
        return self.known[-1]

    def place(self, port: Port) -> tuple[str, int]:
        """Where the client calls *port*: at the Service, or without proxies at the server itself."""
        if self.has_proxies:
            return self.service.address, port.service
        return self.server.address, port.application

    def folder(self, name: str) -> Path:
        """A new folder that the sidecar's user owns."""
        place = self.directory / name
        place.mkdir(mode=0o755)
        os.chown(place, names.MESH_UID, names.MESH_UID)
        return place

    def start_proxy(self, pod: Pod, place: Path, command: list[str]) -> None:
        """Start a proxy: on its core, in the account of the proxies, its log and access log in *place*."""
        line = in_pod(pod, self.cores.proxies, self.proxies, command)
        for name in ("access.log", "error.log"):
            # Opened by root, and by its name in /dev once more by the proxy.
            (place / name).touch()
            os.chown(place / name, names.MESH_UID, names.MESH_UID)
        self.children.start(line, place / "access.log", place / "error.log")

    def start_application(self, place: Path, command: list[str]) -> None:
        """Start a process of the application."""
        line = in_pod(self.server, self.cores.driver, self.applications, command)
        self.children.start(line, place / "output.log", place / "error.log")

    def issue(self, path: str) -> Issued:
        """An SVID; that of the server has a DNS name too, which is all that NGINX by itself can verify."""
        return self.authority.issue(path, dns_names=(SERVER_NAME,) if path == SERVER_ID_PATH else ())

    def write_identity(self, place: Path, path: str) -> None:
        """Certificate, key and bundle as PEM files that only the sidecar's user may read."""
        context = self.issue(path).context()
        for name, content in (
            ("chain.pem", context.svid.chain_pem),
            ("key.pem", context.svid.key_pem),
            ("bundle.pem", context.bundle_pem),
        ):
            file = place / name
            file.touch(mode=0o600)
            file.write_bytes(content)
            os.chown(file, names.MESH_UID, names.MESH_UID)


Start = Callable[[Pair, ExitStack], None]


class Rig:
    """A network of pairs; everything that it made is gone after it."""

    def __init__(self, binary: Binary, cores: Cores) -> None:
        self._binary = binary
        self._cores = cores
        self._ending = ExitStack()
        self._authority = Authority()
        self._hosts = iter(range(2, 250, 2 + ENDPOINTS))
        self._number = 0

    def __enter__(self) -> Self:
        place = self._ending.enter_context(tempfile.TemporaryDirectory(prefix="mesh-bench-", dir=_fast_place()))
        self._place = Path(place)
        self._place.chmod(0o711)
        self._network = self._ending.enter_context(Network(240))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.close()

    def add(self, name: str, count: int, start: Start, targets: int = 0) -> Pair:
        """Two pods and what *start* makes in them; *count* Services are known, 0 means that there are no proxies.

        With *targets* ours judges who calls the server: by so many TrafficTargets for others, and one for the client.
        """
        self._number += 1
        label = f"{self._number}"
        host = next(self._hosts)
        client = self._network.add_pod(f"c{label}", host)
        server = self._network.add_pod(f"s{label}", host + 1, more=ENDPOINTS - 1)
        for pod in (client, server):
            _tune(pod)
        real = Service("shop/server", self._network.service_address(250), tuple(server.addresses))
        proxies, applications = (
            Account(f"nginx-mesh-bench-{os.getpid()}-{label}-{part}") for part in ("proxies", "applications")
        )
        for account in (proxies, applications):
            self._ending.callback(account.close)
        children = Children()
        self._ending.callback(children.close)
        directory = self._place / label
        directory.mkdir(mode=0o711)
        pair = Pair(
            name,
            client,
            server,
            services(real, count),
            self._cores,
            proxies,
            applications,
            children,
            self._binary,
            self._authority,
            directory,
            targets,
        )
        start(pair, self._ending)
        return pair

    def copy_program(self, path: Path) -> Path:
        """*path* where the sidecar's user can run it: a user's cache is closed to others."""
        target = self._place / path.name
        if not target.exists():
            shutil.copy(path, target)
            target.chmod(0o755)
        return target


def redirect(pod: Pod, chain: str, ports: dict[Port, int], *, by_application_port: bool) -> None:
    """Send each port of a pod to a listener of its own, for a proxy that cannot ask where a connection was going."""
    rules = ["OUTPUT -m owner --uid-owner {uid} -j RETURN"] if chain == "OUTPUT" else []
    for port, listener in ports.items():
        wanted = port.application if by_application_port else port.service
        rules.append(f"{chain} -p tcp --dport {wanted} -j REDIRECT --to-ports {listener}")
    for rule in rules:
        line = rule.format(uid=names.MESH_UID)
        run("ip", "netns", "exec", pod.namespace, "iptables", "-t", "nat", "-A", *line.split())


def _tune(pod: Pod) -> None:
    """A connection per request would use up the ports: give more, and reuse those that wait for stray segments."""
    for setting in (
        "net.ipv4.ip_local_port_range=10240 65000",
        "net.ipv4.tcp_tw_reuse=1",
        "net.core.somaxconn=4096",
    ):
        run("ip", "netns", "exec", pod.namespace, "sysctl", "-q", "-w", setting)


def _fast_place() -> str | None:
    """Memory for logs where there is any: a disk's pauses are not the proxies'."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
