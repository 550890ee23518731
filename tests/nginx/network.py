"""Pods without Kubernetes: network namespaces on one bridge, with the redirection of an injected pod.

Everything, the bridge too, is in namespaces of its own. IPv4 is a /24 of 198.19.240.0/20, one per xdist worker.
"""

import ctypes
import os
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from mesh.init import iptables, rules

_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


def run(*command: str) -> str:
    """Run a command that must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


class Pod:
    """A network namespace with one or more addresses."""

    def __init__(self, namespace: str, addresses: list[str], address6: str) -> None:
        self.namespace = namespace
        self.addresses = addresses
        self.address = addresses[0]
        self.address6 = address6

    def redirect(self) -> None:
        """What the init container does (contract 5.redirect): its own rules, by its own code."""
        for family in (iptables.IPV4, iptables.IPV6):
            iptables.install(family, rules.Redirection(), self._run)

    def _run(self, command: list[str], text: str) -> iptables.Result:
        return iptables.run(["ip", "netns", "exec", self.namespace, *command], text)

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Sockets made by this thread meanwhile belong to the pod."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{self.namespace}") as pod:
            _enter(pod.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())

    def listener(self, port: int, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
        """A listening socket on all of the pod's addresses."""
        with self.inside():
            sock = socket.socket(family)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        sock.listen(512)
        return sock

    def connect(self, address: str, port: int, timeout: float = 30.0) -> socket.socket:
        """A connection from this pod."""
        with self.inside():
            sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
        sock.settimeout(timeout)
        try:
            sock.connect((address, port))
        except OSError:
            sock.close()
            raise
        return sock


class Network:
    """The bridge and its pods."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._prefix = f"mnx{os.getpid()}"
        self._hub = f"{self._prefix}hub"
        self._namespaces: list[str] = []

    def __enter__(self) -> Self:
        self._add_namespace(self._hub)
        self._in(self._hub, "ip", "link", "add", "bridge", "type", "bridge")
        self._in(self._hub, "ip", "link", "set", "bridge", "up")
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in self._namespaces:
            run("ip", "netns", "del", namespace)

    def service_address(self, host: int) -> str:
        """An address of no pod, as a Service's cluster IP is."""
        return f"198.19.{self._number}.{host}"

    def add_pod(self, name: str, host: int, more: int = 0) -> Pod:
        """A pod at address *host* of the network, and at *more* addresses after it."""
        namespace = f"{self._prefix}{name}"
        self._add_namespace(namespace)
        link = f"v{name}"
        run("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", link, "netns", self._hub)
        self._in(self._hub, "ip", "link", "set", link, "master", "bridge", "up")
        addresses = [f"198.19.{self._number}.{host + offset}" for offset in range(more + 1)]
        address6 = f"fd00:{self._number}::{host}"
        for address in addresses:
            self._in(namespace, "ip", "addr", "add", f"{address}/24", "dev", "eth0")
        self._in(namespace, "ip", "addr", "add", f"{address6}/64", "dev", "eth0", "nodad")
        self._in(namespace, "ip", "link", "set", "eth0", "up")
        for family in ("-4", "-6"):
            self._in(namespace, "ip", family, "route", "add", "default", "dev", "eth0")
        return Pod(namespace, addresses, address6)

    def _add_namespace(self, namespace: str) -> None:
        run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        self._in(namespace, "ip", "link", "set", "lo", "up")

    @staticmethod
    def _in(namespace: str, *command: str) -> None:
        run("ip", "netns", "exec", namespace, *command)


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def subnet_number() -> int:
    """Third byte of this process's /24."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "gw0")
    return 240 + int(worker.removeprefix("gw")) % 16


def namespace_of(pid: int) -> str:
    """Identity of the network namespace of a process."""
    return str(Path(f"/proc/{pid}/ns/net").readlink())
