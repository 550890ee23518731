"""What the processes of both sidecars hold, and whether it is more than it was."""

from dataclasses import dataclass

from tests.nginx.agent_mesh import Mesh
from tests.nginx.processes import descriptors, private_kib, shared_memory_kib

# What traffic of four callers may open more at one moment than at another; a leak is one per change.
DESCRIPTORS = 12
SHARED_KIB = 256


@dataclass(frozen=True)
class Held:
    """What the processes of both sidecars hold, by role."""

    pids: dict[str, int]
    private: dict[str, int]
    shared: dict[str, int]
    descriptors: dict[str, int]

    @classmethod
    def by(cls, mesh: Mesh) -> "Held":
        pids = {
            f"{side} {role}": getattr(sidecar, role)()
            for side, sidecar in (("client", mesh.client), ("server", mesh.server))
            for role in ("agent", "master", "worker")
        }
        return cls(
            pids,
            {name: private_kib(pid) for name, pid in pids.items()},
            {name: shared_memory_kib(pid) for name, pid in pids.items()},
            {name: descriptors(pid) for name, pid in pids.items()},
        )

    def grew(self, since: "Held", private_kib: int) -> list[str]:
        """What is more than a moment's difference: of private memory, more than so much."""
        return [
            f"{name}: {kind} {before[name]} -> {after[name]}"
            for kind, before, after, limit in (
                ("private KiB", since.private, self.private, private_kib),
                ("shared KiB", since.shared, self.shared, SHARED_KIB),
                ("descriptors", since.descriptors, self.descriptors, DESCRIPTORS),
            )
            for name in after
            if after[name] - before[name] >= limit
        ]
