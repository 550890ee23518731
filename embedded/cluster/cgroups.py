"""The cluster's cgroups: one per node for its pods, one for the processes that serve the cluster.

Works with one unified hierarchy (version 2) and with one per controller (version 1). Kubelets that share a cgroup root
kill each other's pods, so each node has a root of its own. A process never leaves its cluster's cgroup by itself:
whatever is in there belongs to the cluster, and can be ended without knowing its name.
"""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from embedded.cluster import addresses

_MOUNTS = Path("/proc/self/mountinfo")
# On version 1, membership in one hierarchy is enough to find a process. "pids" comes first because it changes nothing
# about how the process is scheduled or what memory it may use.
_TRACKING = ("pids", "freezer", "name=systemd")
# A cgroup competes with single processes of the machine as one of them. All pods of a cluster together get as much of a
# busy machine as eight processes do: with one's share, no probe is answered in time beside a compiler.
_SHARES = {"cpu.shares": "8192", "cpu.weight": "800"}
END_SECONDS = 20.0


class CgroupError(RuntimeError):
    """Cgroups cannot be made or emptied."""


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """Mount points: ``unified`` is version 2, ``controllers`` maps a version 1 controller to its own."""

    unified: Path | None
    controllers: dict[str, Path]

    @property
    def all(self) -> tuple[Path, ...]:
        """Every mount point once."""
        found = list(dict.fromkeys(self.controllers.values()))
        return tuple(found + ([self.unified] if self.unified else []))

    @property
    def pods(self) -> tuple[Path, ...]:
        """Hierarchies in which a kubelet wants its cgroup root."""
        return tuple(dict.fromkeys(self.controllers.values())) or self.all

    @property
    def tracking(self) -> Path:
        """The hierarchy by which the cluster's own processes are found."""
        for name in _TRACKING:
            if name in self.controllers:
                return self.controllers[name]
        if self.unified is None:
            raise CgroupError("no cgroup hierarchy with pids or freezer, nor a unified one")
        return self.unified


def hierarchies(mountinfo: str | None = None) -> Hierarchies:
    """Read which cgroup hierarchies are mounted (proc(5), mountinfo)."""
    unified: Path | None = None
    controllers: dict[str, Path] = {}
    for line in (_MOUNTS.read_text() if mountinfo is None else mountinfo).splitlines():
        before, _, after = line.partition(" - ")
        kind, _, options = after.partition(" ")
        where = Path(before.split()[4])
        if kind == "cgroup2":
            unified = unified or where
        elif kind == "cgroup":
            ignored = {"rw", "ro", "xattr", "release_agent", "clone_children", "noprefix"}
            for option in options.split()[-1].split(","):
                if option not in ignored and "release_agent=" not in option:
                    controllers.setdefault(option, where)
    return Hierarchies(unified, controllers)


def create(plan: addresses.Plan, found: Hierarchies) -> None:
    """Make the cgroups of *plan* with every controller of the machine."""
    for mount in found.pods:
        for node in plan.nodes:
            _make(mount, node.cgroup, unified=mount == found.unified)
        _weigh(mount / addresses.cgroup_of(plan.name))
    _make(found.tracking, plan.parts_cgroup, unified=found.tracking == found.unified)


def processes_file(plan: addresses.Plan, found: Hierarchies) -> Path:
    """File into which a process writes its id to belong to the cluster."""
    return found.tracking / plan.parts_cgroup / "cgroup.procs"


def _make(mount: Path, path: str, *, unified: bool) -> None:
    parent = mount
    for name in Path(path).parts:
        if unified:
            _delegate_controllers(parent)
        parent /= name
        parent.mkdir(exist_ok=True)
        for setting in ("cpuset.cpus", "cpuset.mems"):
            # Version 1 refuses processes in a cpuset that has no CPU or memory node yet.
            if not unified and (parent / setting).exists():
                (parent / setting).write_text((parent.parent / setting).read_text())
    if unified and not path.endswith("/parts"):
        _delegate_controllers(parent)


def _weigh(top: Path) -> None:
    for name, value in _SHARES.items():
        if (top / name).exists():
            (top / name).write_text(value)


def _delegate_controllers(directory: Path) -> None:
    """Let the children of *directory* use its controllers (cgroup v2 documentation, "Enabling and Disabling")."""
    available = (directory / "cgroup.controllers").read_text().split()
    control = directory / "cgroup.subtree_control"
    enabled = control.read_text().split()
    for controller in available:
        if controller not in enabled:
            control.write_text(f"+{controller}")


def members(name: str, found: Hierarchies) -> set[int]:
    """Every process in any cgroup of the cluster *name*, but not the caller."""
    pids: set[int] = set()
    for mount in found.all:
        top = mount / addresses.cgroup_of(name)
        for directory, _, _ in os.walk(top):
            try:
                pids.update(int(line) for line in (Path(directory) / "cgroup.procs").read_text().split())
            except (FileNotFoundError, OSError):
                continue  # A cgroup that ended while we looked has no processes.
    return pids - {0, os.getpid()}


def clear(name: str, found: Hierarchies, end_seconds: float = END_SECONDS) -> None:
    """End every process in the cgroups of the cluster *name*, then remove them; raises CgroupError on time-out."""
    deadline = time.monotonic() + end_seconds
    while pids := members(name, found):
        if time.monotonic() > deadline:
            raise CgroupError(f"processes {sorted(pids)} of cluster {name} do not end")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    for mount in found.all:
        _remove(mount / addresses.cgroup_of(name), deadline)


def _remove(top: Path, deadline: float) -> None:
    for directory, _, _ in os.walk(top, topdown=False):
        # A cgroup stays busy for a moment after its last process is gone.
        while True:
            try:
                Path(directory).rmdir()
                break
            except FileNotFoundError:
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise CgroupError(f"{directory}: {error.strerror}") from error
                time.sleep(0.02)


def exists(name: str, found: Hierarchies) -> bool:
    """Whether any cgroup of the cluster *name* is left."""
    return any((mount / addresses.cgroup_of(name)).exists() for mount in found.all)
