"""The watches that every replica runs, and the loop that turns what they show into configurations (design 8).

The first change after a quiet time is compiled at once; those that follow it within PAUSE_SECONDS are taken together.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final

from mesh.api import names
from mesh.compiler.assemble import Compilation, Compiler
from mesh.controller.configuration import Configuration
from mesh.controller.index import Index
from mesh.kit.supervise import TaskFactory
from mesh.kube import kinds
from mesh.kube.client import Client
from mesh.kube.kinds import Kind
from mesh.kube.objects import CustomObject, NamespaceObject
from mesh.kube.watch import Event, converted, watch
from mesh.model import codec
from mesh.model.sidecar_config import SidecarConfig

log = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.05
# A mesh whose compilation takes longer than the pause gets as much time for everything else.
_PAUSE_PER_COMPILATION: Final = 1.0

Wanted = dict[str, tuple[str, SidecarConfig]]
OnCompiled = Callable[[Wanted, Compilation], None]
OnPolicy = Callable[[str, Event[CustomObject]], None]


class Watches:
    """Feeds ``index`` and ``configuration``; gives each compilation to ``on_compiled``.

    ``on_configured`` is called after every event about the configuration, also about one that cannot be obeyed; ``on_policy``
    with the kind and each event of a policy as the API server has it, for who looks at more than the compiler does.
    """

    def __init__(
        self,
        client: Client,
        installation: dict[str, Any],
        on_compiled: OnCompiled,
        on_configured: Callable[[], None],
        on_policy: OnPolicy,
    ) -> None:
        self._client = client
        self._on_compiled = on_compiled
        self._on_configured = on_configured
        self._on_policy = on_policy
        self._dirty = asyncio.Event()
        self._compiler = Compiler()
        self._wanted: Wanted = {}
        self.index = Index(self._dirty.set)
        self.configuration = Configuration(installation, self._configuration_changed)

    def tasks(self) -> dict[str, TaskFactory]:
        """What to run side by side, by name."""
        namespace, index, configuration = self.configuration.namespace, self.index, self.configuration
        return {
            "watch nodes": lambda: self._follow(kinds.NODES, index.zones.take),
            "watch namespaces": lambda: self._follow(kinds.NAMESPACES, self._take_namespaces),
            "watch pods": lambda: self._follow(kinds.PODS, index.pods.take),
            "watch services": lambda: self._follow(kinds.SERVICES, index.services.take),
            "watch endpoint slices": lambda: self._follow(kinds.ENDPOINT_SLICES, index.slices.take),
            **{f"watch {kind}s": self._following(kind) for kind in kinds.POLICIES},
            "watch MeshConfigs": lambda: self._follow(kinds.MESH_CONFIGS, configuration.take_mesh_config, namespace),
            "watch ConfigMap meshconfig": lambda: self._follow(
                kinds.CONFIG_MAPS, configuration.take_config_map, namespace, names.MESHCONFIG_CONFIGMAP
            ),
            "compile": self._compile_for_ever,
        }

    def _following(self, kind: str) -> TaskFactory:
        parse, table = kinds.PARSED_POLICIES[kind].convert, self.index.policies[kind]

        def take(event: Event[CustomObject]) -> None:
            table.take(converted(event, parse))
            self._on_policy(kind, event)

        return lambda: self._follow(kinds.POLICIES[kind], take)

    def missing(self) -> str:
        """Say what must be known before anything can be compiled; empty when all is there."""
        return self.index.missing() or self.configuration.missing()

    def unseen(self) -> str:
        """Say what this replica has not seen of the cluster yet; a MeshConfig that does not exist is seen."""
        return self.index.missing() or self.configuration.unseen()

    async def _follow(
        self, kind: Kind[Any, Any], take: Callable[[Event[Any]], None], namespace: str = "", name: str = ""
    ) -> None:
        async for event in watch(self._client, kind, namespace, name):
            take(event)

    def _take_namespaces(self, event: Event[NamespaceObject]) -> None:
        self.index.take_namespaces(event)
        self.configuration.take_namespace_end(self.index.is_ending(self.configuration.namespace))

    def _configuration_changed(self) -> None:
        self._dirty.set()
        self._on_configured()

    async def _compile_for_ever(self) -> None:
        while True:
            await self._dirty.wait()
            self._dirty.clear()
            seconds = self._compile()
            await asyncio.sleep(max(PAUSE_SECONDS, seconds * _PAUSE_PER_COMPILATION))

    def _compile(self) -> float:
        settings = self.configuration.settings
        # Half a cluster would take Services and endpoints away from sidecars that have them.
        if settings is None or self.index.missing():
            return 0.0
        started = time.monotonic()
        compilation = self._compiler.compile(self.index.snapshot(settings))
        shared = codec.SharedScopes()
        self._wanted = wanted = {
            group: (self._digest(group, config, shared), config) for group, config in compilation.configs.items()
        }
        self._on_compiled(wanted, compilation)
        seconds = time.monotonic() - started
        log.debug("compiled", extra={"groups": len(wanted), "seconds": round(seconds, 4)})
        return seconds

    def _digest(self, group: str, config: SidecarConfig, shared: codec.SharedScopes) -> str:
        """The digest of a document; one that is equal to the last one, as most are, is not written again."""
        before = self._wanted.get(group)
        if before is not None and before[1] == config:
            return before[0]
        return codec.digest(codec.canonical(config, shared))
