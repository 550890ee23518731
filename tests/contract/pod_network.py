"""An injected pod and a caller, each in a network namespace of its own, joined by a cable; the init container's real rules."""

import contextlib
import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from mesh.init import iptables, rules

ROOT = Path(__file__).resolve().parents[2]
LISTENERS = ROOT / "tests" / "fakes" / "listeners.py"
CABLE = ROOT / "tests" / "fakes" / "cable.py"
POD, PEER = "198.19.250.2", "198.19.250.3"
POD6, PEER6 = "fd00:250::2", "fd00:250::3"
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)
_CALL = """
import encodings.idna, os, socket, sys
if int(sys.argv[3]): os.setuid(int(sys.argv[3]))
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as connection:
    print(connection.makefile().readline())
"""


def run(*command: str) -> str:
    """Run a command that must succeed."""
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout


class PodNetwork:
    """The two namespaces. *cable* names what an unruly cable does to packets (see tests/fakes/cable.py)."""

    def __init__(self, name: str, cable: tuple[str, ...] = (), *, ipv6: bool = True) -> None:
        self.pod, self.peer = f"mesh-{name}-a-{os.getpid()}", f"mesh-{name}-b-{os.getpid()}"
        self._cable = cable
        self._ipv6 = ipv6
        self._programs: list[subprocess.Popen[str]] = []

    def __enter__(self) -> Self:
        try:
            for name in (self.pod, self.peer):
                run("ip", "netns", "add", name)
                if not self._ipv6:
                    self.inside(name, "sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
            if self._cable:
                self.start(sys.executable, str(CABLE), self.peer, self.pod, *self._cable)
            else:
                ends = ["eth0", "netns", self.pod, "type", "veth", "peer", "name", "eth0", "netns", self.peer]
                run("ip", "link", "add", *ends)
            for name, address, address6 in ((self.pod, POD, POD6), (self.peer, PEER, PEER6)):
                run("ip", "-n", name, "link", "set", "lo", "up")
                run("ip", "-n", name, "addr", "add", f"{address}/24", "dev", "eth0")
                if self._ipv6:
                    run("ip", "-n", name, "addr", "add", f"{address6}/64", "dev", "eth0", "nodad")
                run("ip", "-n", name, "link", "set", "eth0", "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._programs:
            process.kill()
            process.communicate()
        for name in (self.pod, self.peer):
            with contextlib.suppress(subprocess.CalledProcessError):
                run("ip", "netns", "del", name)

    def start(self, *command: str) -> None:
        """Start a program that says ``ready``; it is killed in the end."""
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._programs.append(process)
        assert process.stdout
        assert process.stdout.readline() == "ready\n"

    def listen(self, name: str, *ports: int, patient: bool = False) -> None:
        """Have the listeners of tests/fakes/listeners.py on *ports* of one namespace."""
        options = ["--patient"] if patient else []
        self.start("ip", "netns", "exec", name, sys.executable, str(LISTENERS), *options, *map(str, ports))

    @staticmethod
    def inside(name: str, *command: str) -> str:
        """Run a command in one namespace."""
        return run("ip", "netns", "exec", name, *command)

    def call(self, source: str, address: str, port: int, uid: int = 0) -> tuple[int, tuple[str, int]]:
        """Connect; returns the port of the listener that answered, and where it thinks that the call was going."""
        python = os.path.realpath(sys.executable)
        answer = json.loads(self.inside(source, python, "-I", "-c", _CALL, address, str(port), str(uid)))
        return answer["arrived"], (answer["original"][0], answer["original"][1])

    def init(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the init container's program in the pod."""
        command = ["ip", "netns", "exec", self.pod, sys.executable, "-m", "mesh.init", *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def _legacy(self, command: list[str], text: str) -> iptables.Result:
        """Run one of init's commands in the pod, as on a node whose kernel has x_tables alone."""
        if "-nft" in command[0]:
            return iptables.Result(1, "", "no nf_tables here")
        return iptables.run(["ip", "netns", "exec", self.pod, *command], text)

    def _nft(self, command: list[str], text: str) -> iptables.Result:
        return iptables.run(["ip", "netns", "exec", self.pod, *command], text)

    def redirect(self, variant: str, redirection: rules.Redirection | None = None) -> None:
        """Write the rules by one of iptables' two variants."""
        for family in (iptables.IPV4, iptables.IPV6):
            found = iptables.install(family, redirection or rules.Redirection(), getattr(self, f"_{variant}"))
            assert found == variant

    def saved(self, variant: str = "nft") -> list[str]:
        """All rules of the pod, both families."""
        lines = []
        for family in (iptables.IPV4, iptables.IPV6):
            output = self.inside(self.pod, f"{family}-{variant}-save")
            lines += [line for line in output.splitlines() if line.startswith("-A")]
        return lines

    @contextlib.contextmanager
    def entered(self, name: str) -> Iterator[None]:
        """Sockets that this thread makes meanwhile belong to that namespace."""
        with open("/proc/thread-self/ns/net") as home, open(f"/run/netns/{name}") as there:
            _enter(there.fileno())
            try:
                yield
            finally:
                _enter(home.fileno())


def _enter(descriptor: int) -> None:
    if _LIBC.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
