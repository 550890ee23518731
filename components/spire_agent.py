"""The SPIRE agents, one per node."""

from collections.abc import Sequence

import pulumi

from components import objects, spire_agent_objects
from components.spire_agent_objects import SpireAgentSpec


class SpireAgent(pulumi.ComponentResource):
    """Done when every node's agent is attested and serves the Workload API."""

    workload: pulumi.Resource

    def __init__(
        self,
        name: str,
        args: SpireAgentSpec,
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nginx-mesh:components:SpireAgent", name, None, opts)
        access = objects.register_all(spire_agent_objects.access(args), self, depends_on=needs)
        config = objects.register(spire_agent_objects.config_map(args), self, depends_on=needs)
        self.workload = objects.register(spire_agent_objects.workload(args), self, depends_on=[*access, config])
        self.register_outputs({})
