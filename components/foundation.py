"""The namespace of the mesh and the credentials that its images are pulled with."""

import base64
from dataclasses import dataclass

import pulumi

from components import manifest, objects, registry_objects


@dataclass(frozen=True, slots=True)
class FoundationArgs:
    """``credentials`` of a private registry, if it has any."""

    namespace: str
    credentials: registry_objects.Credentials | None = None


class Foundation(pulumi.ComponentResource):
    """Namespace and registry Secret. ``ready`` are the resources that everything in the namespace waits for."""

    ready: list[pulumi.Resource]

    def __init__(self, name: str, args: FoundationArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("nginx-mesh:components:Foundation", name, None, opts)
        namespace = objects.register(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": manifest.metadata(args.namespace)}, self
        )
        self.ready = [namespace]
        if args.credentials:
            content = registry_objects.docker_config(args.credentials).encode()
            encoded = pulumi.Output.secret(base64.b64encode(content).decode())
            secret = registry_objects.secret(args.namespace, encoded)
            self.ready.append(objects.register(secret, self, depends_on=[namespace]))
        self.register_outputs({"namespace": args.namespace})
