"""Child processes in pods: on a core of their own, in an account, and ended by whoever started them."""

import os
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.dataplane.accounts import Account
from mesh.api import names
from tests.nginx.network import Pod

END_SECONDS = 10.0
NGINX_DIRECTORY = "/run/nginx-mesh"
# The first argument is a list of files that take the process's id; then the program is the process.
_ENTER = 'for file in $1; do echo $$ >"$file"; done; shift; exec "$@"'
# NGINX of the Debian root, with a folder of ours in it.
_IN_ROOT = f"""
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
mount --bind "$2" "$1{NGINX_DIRECTORY}"
mount --bind /dev "$1/dev"
mount --bind /proc "$1/proc"
root=$1; shift 2
exec chroot "$root" "$@"
"""


@dataclass(frozen=True, slots=True)
class Cores:
    """Proxies on one core, generator and applications on another: what is measured is not what measures."""

    driver: int
    proxies: int


def cores() -> Cores:
    """The first two cores that this process may use; with one core, it is shared."""
    allowed = sorted(os.sched_getaffinity(0))
    return Cores(allowed[0], allowed[1 % len(allowed)])


def pin(pid: int, core: int) -> None:
    """Keep every thread of a running process on *core*."""
    for thread in Path(f"/proc/{pid}/task").iterdir():
        os.sched_setaffinity(int(thread.name), {core})


def in_pod(pod: Pod, core: int, account: Account | None, command: Sequence[str]) -> list[str]:
    """The command line that runs *command* there."""
    entrances = " ".join(map(shlex.quote, account.entrances)) if account else ""
    line = ["sh", "-ec", _ENTER, "sh", entrances, "taskset", "-c", str(core)]
    return [*line, "ip", "netns", "exec", pod.namespace, *command]


def as_proxy(command: Sequence[str]) -> list[str]:
    """The command line that runs *command* as the sidecar's user, whom the redirection leaves alone."""
    user = str(names.MESH_UID)
    return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", "--no-new-privs", *command]


def nginx_in_root(root: Path, directory: Path, *, is_proxy: bool) -> list[str]:
    """The command line of NGINX in the Debian root with *directory*, which holds its nginx.conf."""
    nginx = ["nginx", "-e", "stderr", "-c", f"{NGINX_DIRECTORY}/nginx.conf"]
    inside = as_proxy(nginx) if is_proxy else nginx
    mounts = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", _IN_ROOT, "sh", str(root), str(directory)]
    return [*mounts, *inside]


@dataclass(slots=True)
class Children:
    """The processes that a rig started."""

    _running: list[tuple[subprocess.Popen[bytes], Path]] = field(default_factory=list)

    def start(self, command: Sequence[str], output: Path, log: Path) -> int:
        """Start *command* with its standard output in a file, return its process id."""
        with output.open("ab") as out, log.open("ab") as errors:
            # A group of its own: an interruption at the terminal is for the benchmark, which then ends them in order.
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=errors, start_new_session=True
            )
        self._running.append((child, log))
        return child.pid

    def check(self) -> None:
        """Raise RuntimeError with the log of a process that has ended by itself."""
        for child, log in self._running:
            if child.poll() is not None:
                words = log.read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{shlex.join(map(str, child.args))} ended with {child.returncode}:\n{words}")  # type: ignore[arg-type]

    def close(self) -> None:
        """End all: politely, then by force."""
        for child, _ in self._running:
            _signal_group(child, signal.SIGTERM)
        for child, _ in self._running:
            try:
                child.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                _signal_group(child, signal.SIGKILL)
                child.wait(END_SECONDS)
        self._running.clear()


def _signal_group(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if child.poll() is None:
        os.killpg(child.pid, number)
