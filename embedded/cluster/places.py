"""Where a cluster keeps its files on the host.

The directory of a cluster is ``embedded.tools.paths.state_root(name)`` (design 4.1). A node's directory holds what a machine of its own would have under /var/lib and /var/log.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class NodePlaces:
    """Directories of one node on the host; ``inside`` is where the node itself sees ``root``."""

    root: Path
    inside: Path = Path("/run/nginx-mesh/node")

    @property
    def settings(self) -> Path:
        """Configuration of containerd, kubelet and CNI."""
        return self.root / "etc"

    @property
    def lib(self) -> Path:
        """The node's /var/lib: images, containers, kubelet, volumes."""
        return self.root / "lib"

    @property
    def log(self) -> Path:
        """The node's /var/log: logs of pods."""
        return self.root / "log"

    @property
    def run(self) -> Path:
        """Where the node's /run is put together before it moves to its place; empty on the host."""
        return self.root / "run"

    @property
    def volumes(self) -> Path:
        """Directories behind the PersistentVolumes of this node."""
        return self.lib / "nginx-mesh-volumes"


@dataclass(frozen=True, slots=True)
class Places:
    """Files of one cluster below its state directory."""

    root: Path

    @property
    def settings(self) -> Path:
        """Slot and number of nodes, kept from start to start."""
        return self.root / "cluster.json"

    @property
    def command_lock(self) -> Path:
        """Held by the one command that starts, stops or resets the cluster."""
        return self.root / "command.lock"

    @property
    def supervisor_lock(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.root / "supervisor.lock"

    @property
    def status(self) -> Path:
        """What the supervisor says about its parts."""
        return self.root / "status.json"

    @property
    def kubeconfig(self) -> Path:
        """Administrator's kubeconfig, mode 0600."""
        return self.root / "kubeconfig"

    @property
    def pki(self) -> Path:
        """Keys and certificates, and the kubeconfigs of the parts."""
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        """Data of etcd."""
        return self.root / "etcd"

    @property
    def images(self) -> Path:
        """Archives of the images that every node needs: pause and CoreDNS."""
        return self.root / "images"

    @property
    def logs(self) -> Path:
        """One log per part."""
        return self.root / "logs"

    def node(self, number: int) -> NodePlaces:
        """Directories of node *number*."""
        return NodePlaces(self.root / f"node{number}")
