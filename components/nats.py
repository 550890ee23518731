"""The bus."""

from collections.abc import Sequence

import pulumi

from components import nats_objects, objects
from components.nats_objects import NatsSpec


class Nats(pulumi.ComponentResource):
    """Done when NATS serves with its first certificate."""

    workload: pulumi.Resource

    def __init__(
        self,
        name: str,
        args: NatsSpec,
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nginx-mesh:components:Nats", name, None, opts)
        namespace = args.config.namespace
        account = objects.register(nats_objects.service_account(args), self, depends_on=needs)
        config = objects.register(nats_objects.config_map(args), self, depends_on=needs)
        service = objects.register(nats_objects.service(namespace), self, depends_on=needs)
        self.workload = objects.register(nats_objects.workload(args), self, depends_on=[account, config, service])
        self.register_outputs({})
