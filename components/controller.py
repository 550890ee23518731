"""The controller, its configuration objects and its webhooks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pulumi

from components import controller_objects, objects, webhook_objects
from components.controller_objects import ControllerSpec
from components.manifest import Manifest
from mesh.api import names

# A removal waits twice for all sidecars: until they take plaintext, and until they are transparent.
_STEPS = 2
# Then the deletion has failed, and Pulumi says what holds the object.
_SLACK_SECONDS = 30


@dataclass(frozen=True, slots=True)
class ControllerArgs:
    """``settings`` are the members of MeshConfig.spec that the stack sets."""

    spec: ControllerSpec
    settings: Mapping[str, Any]
    failure_policy: str


class Controller(pulumi.ComponentResource):
    """Done when the controller is ready, its webhooks are registered and the MeshConfig is there.

    The order of the end counts. The webhook that refuses to delete the MeshConfig goes first: without it the deletion is
    the mesh's removal. Then the MeshConfig, which the controller holds until every sidecar is transparent; that needs the
    whole mesh. Then the injecting webhook, and the controller only when nothing asks it any more.
    """

    webhooks: list[str]

    def __init__(
        self,
        name: str,
        args: ControllerArgs,
        needs: Sequence[pulumi.Resource],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("nginx-mesh:components:Controller", name, None, opts)
        spec, namespace = args.spec, args.spec.namespace
        access = objects.register_all(controller_objects.access(spec), self, depends_on=needs)
        running = objects.register(
            controller_objects.running_config(namespace), self, depends_on=needs, ignore_changes=["data"]
        )
        config_class = objects.register(controller_objects.config_class(namespace), self, depends_on=needs)
        services = objects.register_all(controller_objects.services(namespace), self, depends_on=needs)
        workload = objects.register(
            controller_objects.workload(spec), self, depends_on=[*needs, *access, running, config_class]
        )
        injector = self._hook(webhook_objects.injector(namespace, args.failure_policy), [workload, *services])
        config = objects.register(
            controller_objects.config(namespace, args.settings),
            self,
            depends_on=[injector],
            delete_seconds=_STEPS * spec.removal_seconds + _SLACK_SECONDS,
        )
        self._hook(webhook_objects.validator(namespace), [config])
        self.webhooks = [names.MUTATING_WEBHOOK, names.VALIDATING_WEBHOOK]
        self.register_outputs({"webhooks": self.webhooks})

    def _hook(self, hook: Manifest, needs: Sequence[pulumi.Resource]) -> pulumi.Resource:
        """A webhook configuration; its CA bundles are the controller's."""
        ignored = [f"webhooks[{index}].clientConfig.caBundle" for index in range(len(hook["webhooks"]))]
        return objects.register(hook, self, depends_on=needs, ignore_changes=ignored)
