"""What the mesh is set to: the installation's fixed part and the MeshConfig, the last good one (contract 6.settings)."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from mesh.admission import settings as documents
from mesh.admission.settings import InjectionSettings
from mesh.api import names
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import MeshConfig, parse_mesh_config
from mesh.compiler.mesh_settings import mesh_settings
from mesh.kube.objects import ConfigMapObject
from mesh.kube.watch import Event, Key, Listed
from mesh.model.mode_change import ModeChange, mode_change_of
from mesh.model.snapshot import MeshSettings
from mesh.model.transparency import Phase, phase_of

_FLAG: Final = {True: "true", False: "false"}


class Configuration:
    """Takes events about the MeshConfig and the ConfigMap ``meshconfig``; calls ``on_change`` after each.

    ``installation`` is the fixed part of ``meshconfig.json``. ``problem`` says why the newest MeshConfig is not obeyed.
    ``phase`` is what the MeshConfig's status said last of transparent proxies, also when the object is gone: its end
    must not make anybody encrypt again; so does ``mode_change``, how far a change of the mTLS mode is, None where it never said. ``is_ending``: it was or is being deleted, and the mesh with it.
    ``namespace_ends``: the mesh's namespace is being deleted, and the controller in it.
    """

    def __init__(self, installation: Mapping[str, Any], on_change: Callable[[], None]) -> None:
        self.installation = installation
        self.namespace = str(installation["namespace"])
        self.trust_domain = str(installation["mtls"]["trustDomain"])
        self.current: MeshConfig | None = None
        self.manifest: dict[str, Any] | None = None
        self.last_spec: dict[str, Any] | None = None
        self.problem = ""
        self.is_listed = False
        self.config_map: ConfigMapObject | None = None
        self.native_sidecar: bool | None = None
        self.phase = Phase.PROXYING
        self.mode_change: ModeChange | None = None
        self.is_ending = False
        self.namespace_ends = False
        self._on_change = on_change

    def take_mesh_config(self, event: Event[dict[str, Any]]) -> None:
        """Apply an event about MeshConfigs: a good one counts from now on, a bad one leaves the last good one."""
        key = Key(self.namespace, names.MESH_CONFIG_NAME)
        if isinstance(event, Listed):
            self.is_listed = True
            self.manifest = event.items.get(key)
        elif event.key == key:
            self.manifest = event.value
        if self.manifest is not None:
            self._read(self.manifest)
        self._on_change()

    def take_config_map(self, event: Event[ConfigMapObject]) -> None:
        """Apply an event about ConfigMap ``meshconfig``."""
        key = Key(self.namespace, names.MESHCONFIG_CONFIGMAP)
        if isinstance(event, Listed):
            self.config_map = event.items.get(key)
        elif event.key == key:
            self.config_map = event.value
        self._on_change()

    def take_namespace_end(self, ends: bool) -> None:
        """Note whether the mesh's namespace is being deleted."""
        if ends != self.namespace_ends:
            self.namespace_ends = ends
            self._on_change()

    @property
    def is_asked_to_be_transparent(self) -> bool:
        """Whether ConfigMap ``meshconfig`` asks that all sidecars pass traffic through unproxied."""
        return self._data().get(names.MESHCONFIG_TRANSPARENT_KEY) == _FLAG[True]

    @property
    def settings(self) -> MeshSettings | None:
        """The settings that count, None before the first good MeshConfig."""
        if self.current is None:
            return None
        return mesh_settings(self.installation, self.current.spec, self.phase, self.mode_change)

    @property
    def injection(self) -> InjectionSettings | None:
        """What injection needs, None before the first good MeshConfig and the API server's version are known."""
        if self.current is None or self.native_sidecar is None:
            return None
        document = documents.merge_settings(self.installation, self.current.spec)
        return documents.parse_settings(document, native_sidecar=self.native_sidecar)

    def config_map_data(self, flag: bool | None = None) -> dict[str, str]:
        """What ConfigMap ``meshconfig`` should hold; nothing before the first good MeshConfig.

        *flag* is what it is to say of transparent, None to leave that as it is.
        """
        if self.current is None:
            return {}
        document = documents.merge_settings(self.installation, self.current.spec)
        return {
            names.MESHCONFIG_CONFIGMAP_KEY: documents.render_settings(document),
            names.MESHCONFIG_TRANSPARENT_KEY: _FLAG[self.is_asked_to_be_transparent if flag is None else flag],
        }

    def holds(self, data: Mapping[str, str]) -> bool:
        """Whether ConfigMap ``meshconfig`` holds *data*, among whatever else."""
        return self._data().items() >= data.items()

    def spec_to_restore(self) -> dict[str, Any] | None:
        """The spec of a MeshConfig that has vanished: the last one seen, else what the ConfigMap kept of it."""
        if self.last_spec is not None:
            return self.last_spec
        text = self._data().get(names.MESHCONFIG_CONFIGMAP_KEY)
        if not text:
            return None
        try:
            document = documents.load_settings(text)
            return documents.mesh_config_spec(document, names.mesh_config_class(self.namespace))
        except InvalidInputError:
            return None

    def missing(self) -> str:
        """Say what must come before the mesh can be configured; empty when all is there."""
        if self.current is None:
            return self.problem or f"MeshConfig {self.namespace}/{names.MESH_CONFIG_NAME}"
        return "" if self.native_sidecar is not None else "the API server's version"

    def unseen(self) -> str:
        """As ``missing``, but satisfied with knowing that there is no MeshConfig."""
        return "" if self.is_listed and self.manifest is None and self.native_sidecar is not None else self.missing()

    def _read(self, manifest: dict[str, Any]) -> None:
        self.phase = phase_of(manifest) or self.phase
        self.mode_change = mode_change_of(manifest) or self.mode_change
        self.is_ending = bool(manifest["metadata"].get("deletionTimestamp")) and self.phase is not Phase.PROXYING
        try:
            self.current = parse_mesh_config(manifest)
        except InvalidInputError as error:
            self.problem = str(error)
            return
        self.problem = ""
        self.last_spec = manifest["spec"]

    def _data(self) -> Mapping[str, str]:
        return (self.config_map.data or {}) if self.config_map else {}


def load_installation(text: str, namespace: str, trust_domain: str) -> dict[str, Any]:
    """Read the installation's part from the environment. Raises InvalidInputError for what injection would miss."""
    document = documents.load_settings(text)
    document["namespace"] = namespace
    document["mtls"] = {**document.get("mtls", {}), "trustDomain": trust_domain}
    documents.parse_settings({**document, "mtls": {**document["mtls"], "mode": "off"}, "nginxErrorLogLevel": "warn"})
    return document
