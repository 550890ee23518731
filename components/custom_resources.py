"""The CustomResourceDefinitions of the mesh. They stay when a stack is destroyed, because policies are users' data."""

from dataclasses import dataclass, field

import pulumi
import pulumi_kubernetes as k8s

from components import objects
from mesh.api import crd, kinds


@dataclass(frozen=True, slots=True)
class ClusterAccess:
    """The cluster, as the stack names it to the Kubernetes provider; empty means the provider's own way to find it."""

    kubeconfig: str = field(default="", repr=False)
    context: str = ""


@dataclass(frozen=True, slots=True)
class CustomResourcesArgs:
    """The kinds to define, and where."""

    access: ClusterAccess = ClusterAccess()
    kinds: tuple[crd.Kind, ...] = kinds.ALL_KINDS


class CustomResources(pulumi.ComponentResource):
    """``definitions`` are the resources; ``retained`` names what outlives the stack."""

    definitions: list[pulumi.Resource]
    retained: list[str]

    def __init__(self, name: str, args: CustomResourcesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nginx-mesh:components:CustomResources", name, None, opts)
        # A definition that an earlier stack left behind is taken over; anything else that exists is an error.
        adopting = k8s.Provider(
            "custom-resources",
            kubeconfig=pulumi.Output.secret(args.access.kubeconfig) if args.access.kubeconfig else None,
            context=args.access.context or None,
            upsert_existing_objects=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
        self.definitions = []
        for kind in args.kinds:
            definition = crd.definition(kind)
            # Its fields belong to whoever applied it then.
            definition["metadata"]["annotations"] = {"pulumi.com/patchForce": "true"}
            self.definitions.append(objects.register(definition, self, retain=True, provider=adopting))
        self.retained = [f"customresourcedefinition/{kind.name}" for kind in args.kinds]
        self.register_outputs({"retained": self.retained})
