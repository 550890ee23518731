"""The certificate authority: SPIRE server and SPIRE Controller Manager in one pod."""

from collections.abc import Sequence

import pulumi

from components import objects, spire_server_objects
from components.spire_server_objects import SpireServerSpec


class SpireServer(pulumi.ComponentResource):
    """Done when the server is ready and the trust bundle is filled."""

    workload: pulumi.Resource
    services: list[pulumi.Resource]

    def __init__(
        self,
        name: str,
        args: SpireServerSpec,
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nginx-mesh:components:SpireServer", name, None, opts)
        namespace = args.config.namespace
        access = objects.register_all(spire_server_objects.access(args), self, depends_on=needs)
        # The data belongs to the server, later to the controller.
        bundle = objects.register(
            spire_server_objects.bundle(namespace), self, depends_on=needs, ignore_changes=["data"]
        )
        config = objects.register(spire_server_objects.config_map(args), self, depends_on=needs)
        self.services = objects.register_all(spire_server_objects.services(namespace), self, depends_on=needs)
        self.workload = objects.register(
            spire_server_objects.workload(args), self, depends_on=[*access, bundle, config]
        )
        self.register_outputs({"services": len(self.services)})
