"""The whole mesh: every part, in the order in which they need one another."""

from dataclasses import dataclass

import pulumi

from components.controller import Controller, ControllerArgs
from components.custom_resources import CustomResources, CustomResourcesArgs
from components.foundation import Foundation, FoundationArgs
from components.identities import Identities, IdentitiesArgs
from components.nats import Nats
from components.nats_objects import NatsSpec
from components.spire_agent import SpireAgent
from components.spire_agent_objects import SpireAgentSpec
from components.spire_server import SpireServer
from components.spire_server_objects import SpireServerSpec


@dataclass(frozen=True, slots=True)
class MeshArgs:
    """What each part takes."""

    foundation: FoundationArgs
    custom_resources: CustomResourcesArgs
    spire_server: SpireServerSpec
    spire_agent: SpireAgentSpec
    identities: IdentitiesArgs
    nats: NatsSpec
    controller: ControllerArgs


class Mesh(pulumi.ComponentResource):
    """A mesh in a cluster. Identity first, then the bus, then the controller, its webhooks and the MeshConfig."""

    namespace: str
    retained: list[str]
    webhooks: list[str]

    def __init__(self, name: str, args: MeshArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nginx-mesh:components:Mesh", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        foundation = Foundation("foundation", args.foundation, opts=child)
        definitions = CustomResources("custom-resources", args.custom_resources, opts=child)
        base = [*foundation.ready, *definitions.definitions]
        server = SpireServer("spire-server", args.spire_server, base, opts=child)
        # The services, too: agents need them until the last sidecar is transparent.
        served = [server.workload, *server.services]
        agent = SpireAgent("spire-agent", args.spire_agent, [*foundation.ready, *served], opts=child)
        identities = Identities("identities", args.identities, [*definitions.definitions, server.workload], opts=child)
        identified = [*base, agent.workload, *identities.identities]
        nats = Nats("nats", args.nats, identified, opts=child)
        controller = Controller("controller", args.controller, [*identified, nats.workload], opts=child)
        self.namespace = args.foundation.namespace
        self.retained = definitions.retained
        self.webhooks = controller.webhooks
        self.register_outputs({"namespace": self.namespace, "retained": self.retained, "webhooks": self.webhooks})
