"""What the global options say, and the cluster that they lead to."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mesh.ctl.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Session:
    """One run of meshctl: ``kubeconfig`` empty means kubectl's default; ``timeout_seconds`` limits each request."""

    kubeconfig: str
    namespace: str
    timeout_seconds: float

    def cluster(self) -> "Cluster":
        """Connect to the cluster. Raises ClickException when there is no usable kubeconfig."""
        from mesh.ctl.cluster import Cluster, ClusterError

        try:
            return Cluster.from_kubeconfig(self.kubeconfig, self.timeout_seconds)
        except ClusterError as error:
            raise click.ClickException(str(error)) from error
