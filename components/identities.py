"""The registration of pods with SPIRE."""

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from components import identity_objects, objects


@dataclass(frozen=True, slots=True)
class IdentitiesArgs:
    """The mesh's namespace and the cluster's DNS suffix."""

    namespace: str
    cluster_domain: str


class Identities(pulumi.ComponentResource):
    """The ClusterSPIFFEIDs. Their ``ttl`` is the controller's."""

    identities: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: IdentitiesArgs,
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nginx-mesh:components:Identities", name, None, opts)
        self.identities = [
            objects.register(one, self, depends_on=needs, ignore_changes=["spec.ttl"])
            for one in identity_objects.identities(args.namespace, args.cluster_domain)
        ]
        self.register_outputs({})
