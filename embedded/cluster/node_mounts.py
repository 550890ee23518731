"""A node's mount namespace: its own /run, /var/lib and /var/log, as a machine of its own would have.

So nodes and clusters do not share /run/spire, pod logs or volumes, and every mount that containerd and the kubelet
make is gone with the node's last process. The supervisor keeps the namespace by an open descriptor.
"""

import contextlib
import os
import select
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

from embedded.cluster import commands, parts, places

# A kubelet sets these for its machine; a node here is not the machine's owner, and is shown what it wants to see.
KERNEL_SETTINGS = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_READY_SECONDS = 20.0


def prepare(where: places.NodePlaces) -> None:
    """Make the node's directories; what another boot left about its containers' networks is dropped."""
    for directory in (where.settings, where.lib, where.log, where.run, where.volumes):
        directory.mkdir(parents=True, exist_ok=True)
    where.root.chmod(0o700)


def script(where: places.NodePlaces, tools: Mapping[str, Path]) -> str:
    """Shell commands that arrange the mounts; they run in the new namespace, which is still empty of our processes."""
    staged = where.run
    inside = where.inside.relative_to("/run")
    programs = parts.PROGRAMS.relative_to("/run")
    lines = [
        f"mount --no-mtab -t tmpfs -o mode=755,nosuid,nodev tmpfs {_quoted(staged)}",
        f"mkdir -p {_quoted(staged / inside)} {_quoted(staged / programs)} {_quoted(staged)}/lock",
        f"mount --no-mtab --bind {_quoted(where.root)} {_quoted(staged / inside)}",
    ]
    for name in parts.NODE_PROGRAMS:
        target = _quoted(staged / programs / name)
        lines.append(f"touch {target}; mount --no-mtab --bind {_quoted(tools[name])} {target}")
    # From here on the state directory may be hidden: it may itself be below one of these.
    lines += [
        f"mount --no-mtab --move {_quoted(staged)} /run",
        f"mount --no-mtab --bind {where.inside}/lib /var/lib",
        f"mount --no-mtab --bind {where.inside}/log /var/log",
        "mkdir -p /run/nginx-mesh/kernel",
    ]
    for number, (setting, value) in enumerate(KERNEL_SETTINGS.items()):
        shown = f"/run/nginx-mesh/kernel/{number}"
        lines.append(f"echo {value} > {shown}; mount --no-mtab --bind {shown} /proc/sys/{setting}")
    # Pods with mount propagation need shared mounts.
    lines.append("mount --no-mtab --make-rshared /")
    return "\n".join(lines)


def create(where: places.NodePlaces, tools: Mapping[str, Path]) -> int:
    """Make the namespace and return a descriptor that keeps it; raises CommandError."""
    text = script(where, tools) + "\necho ready; read -r _ || true\n"
    # Mounts of the host still vanish from the node's view ("slave"), so a node keeps nothing of others alive.
    argv = ("unshare", "--mount", "--propagation", "slave", "sh", "-euc", text)
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=commands.environment(),
        cwd="/",
    ) as child:
        if child.stdin is None or child.stdout is None or child.stderr is None:
            raise commands.CommandError("mounts of a node: no pipes")
        ready, _, _ = select.select([child.stdout], [], [], _READY_SECONDS)
        if not ready or child.stdout.readline() != b"ready\n":
            child.kill()
            reason = child.stderr.read().decode(errors="replace").strip()
            raise commands.CommandError(f"mounts of a node: {reason or 'not done in time'}")
        descriptor = os.open(f"/proc/{child.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(BrokenPipeError):
            child.stdin.write(b"\n")
            child.stdin.close()
    return descriptor


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
