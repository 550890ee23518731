"""What settings must be together: rules over several keys, and warnings about what works but is unwise."""

from collections.abc import Iterable

from components import image_roles
from mesh.api import names
from mesh.api.errors import Problem, quote
from mesh.api.mesh_config import ttl_problems
from mesh.api.schema import closest
from stacks.settings import Credentials, KeyManager, PersistentStorage, Settings


def problems(settings: Settings) -> list[Problem]:
    """Faults that no single key shows."""
    return [
        *ttl_problems(settings.mtls.svid_ttl, settings.mtls.ca_ttl, "mtls.svidTTL"),
        *_namespace(settings.namespace),
        *_images(settings),
        *_credentials(settings.registry.credentials, settings.registry.server),
    ]


def storage_problems(wanted: PersistentStorage, default_class: str | None) -> list[Problem]:
    """Persistent storage cannot be had without a default StorageClass."""
    if wanted is not PersistentStorage.ON or default_class:
        return []
    remedy = "mark a StorageClass as default, or take auto or off"
    return [Problem("mtls.persistentStorage", '"on"', "on only where a default StorageClass exists", remedy)]


def warnings(settings: Settings, *, persistent: bool) -> list[str]:
    """What is allowed but should be known before it is deployed."""
    found = []
    if settings.mtls.spire_server_key_manager is KeyManager.MEMORY:
        found.append(
            "mtls.spireServerKeyManager is memory without an upstream authority: when the SPIRE server restarts it has a "
            "new root; agents must be restarted and every workload needs a new certificate. Take disk, or an upstream "
            "authority."
        )
    if not persistent:
        found.append(
            "SPIRE has no persistent storage (no default StorageClass, or mtls.persistentStorage is off): when its pod "
            "goes, entries and keys go with it. Not suitable for production."
        )
    return found


def _namespace(namespace: str) -> Iterable[Problem]:
    if namespace in {*names.SYSTEM_NAMESPACES, "default"}:
        yield Problem("namespace", quote(namespace), "a namespace of the mesh's own, such as nginx-mesh")


def _images(settings: Settings) -> Iterable[Problem]:
    roles = image_roles.ROLES
    for role in settings.images or {}:
        if role not in roles:
            near = closest(role, roles)
            remedy = f"did you mean {near}?" if near else ""
            yield Problem(f"images.{role}", "an unknown role", ", ".join(roles), remedy)
    public = not settings.registry.disable_public_images
    missing = [
        role for role, image in roles.items() if role not in (settings.images or {}) and not (public and image.upstream)
    ]
    if missing and not settings.registry.server:
        takes = "a registry that has " + ", ".join(missing)
        yield Problem("registry.server", "nothing", takes, "or name these images in images")


def _credentials(credentials: Credentials, server: str) -> Iterable[Problem]:
    place = "registry.credentials"
    if credentials.key and (credentials.username or credentials.password):
        yield Problem(place, "key and username or password", "either key, or username and password")
    elif bool(credentials.username) != bool(credentials.password):
        got = "username only" if credentials.username else "password only"
        yield Problem(place, got, "username and password together")
    if (credentials.key or credentials.password) and not server:
        yield Problem(place, "credentials without registry.server", "registry.server, too")
