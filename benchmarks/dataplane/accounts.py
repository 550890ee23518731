"""What processes cost: CPU time and throttling from cgroups (version 1 or 2), memory from their maps."""

import contextlib
import os
import time
from pathlib import Path

from embedded.cluster.cgroups import Hierarchies, hierarchies

END_SECONDS = 10.0
# As long as a kubelet makes it, and the kernel by itself.
PERIOD_US = 100_000


class Account:
    """A cgroup of its own under *name*; what is started in it pays into it."""

    def __init__(self, name: str, found: Hierarchies | None = None) -> None:
        found = found or hierarchies()
        mounts = [found.controllers[part] for part in ("cpuacct", "cpu") if part in found.controllers]
        self._is_unified = not mounts
        if not mounts:
            if found.unified is None:
                raise RuntimeError("no cgroup hierarchy with cpuacct, nor a unified one, is mounted")
            mounts = [found.unified]
        self._places = [mount / name for mount in dict.fromkeys(mounts)]
        for place in self._places:
            place.mkdir()

    @property
    def entrances(self) -> list[str]:
        """The files into which a process writes its id to belong here."""
        return [str(place / "cgroup.procs") for place in self._places]

    def add(self, pid: int) -> None:
        """Move a running process here."""
        for entrance in self.entrances:
            Path(entrance).write_text(str(pid))

    def prefer(self) -> None:
        """Let what is here run before everything else of the machine, where the kernel divides CPU time by weight."""
        for name, weight in (("cpu.shares", 262144), ("cpu.weight", 10000)):
            for place in self._places:
                if (place / name).exists():
                    (place / name).write_text(str(weight))

    def limit(self, cores: float) -> None:
        """Give what is here no more than so much CPU time, in periods of PERIOD_US."""
        quota = int(cores * PERIOD_US)
        for name, text in (("cpu.cfs_quota_us", f"{quota}"), ("cpu.max", f"{quota} {PERIOD_US}")):
            for place in self._places:
                if (place / name).exists():
                    (place / name).write_text(text)

    def release(self) -> None:
        """Let what is here go on in the cgroup above."""
        for pid in self.pids():
            for place in self._places:
                with contextlib.suppress(ProcessLookupError):
                    (place.parent / "cgroup.procs").write_text(str(pid))

    def pids(self) -> list[int]:
        """The processes that are here."""
        return [int(line) for line in (self._places[0] / "cgroup.procs").read_text().split()]

    def cpu_seconds(self) -> float:
        """CPU time, of user and kernel, since the account was opened."""
        if self._is_unified:
            return self._stat("usage_usec") / 1e6
        return int((self._places[0] / "cpuacct.usage").read_text()) / 1e9

    def throttled(self) -> int:
        """How many periods a quota, of this cgroup, cut short."""
        return self._stat("nr_throttled")

    def pss_mib(self) -> float:
        """Proportional set size of all processes."""
        kib = 0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
                kib += next(int(row.split()[1]) for row in rows if row.startswith("Pss:"))
        return kib / 1024

    def close(self) -> None:
        """Remove the cgroup; whoever started its processes has ended them."""
        end = time.monotonic() + END_SECONDS
        for place in self._places:
            # It stays busy for a moment after its last process is gone.
            while True:
                try:
                    place.rmdir()
                    break
                except OSError:
                    if time.monotonic() > end:
                        raise
                    time.sleep(0.02)

    def _stat(self, name: str) -> int:
        rows = (row.split() for row in (self._places[-1] / "cpu.stat").read_text().splitlines())
        return next((int(row[1]) for row in rows if row[0] == name), 0)


def stolen_seconds() -> float:
    """Time, of all cores, that the machine's host gave to others (proc(5), /proc/stat)."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()
    return int(fields[8]) / os.sysconf("SC_CLK_TCK")


def opened_connections() -> int:
    """TCP connections that were opened in this thread's network namespace (RFC 4022, tcpActiveOpens)."""
    rows = [row.split() for row in Path("/proc/thread-self/net/snmp").read_text().splitlines()]
    names, values = (row for row in rows if row[0] == "Tcp:")
    return int(values[names.index("ActiveOpens")])
