"""Which image plays which role: the one table of image names (design 3).

A role is ours (built from images/<role>, found under the stack's registry) or an upstream project's, named by its release
tag. The stack may name another reference for any role, one by digest too; the embedded cluster does so for all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from mesh.api import names


@dataclass(frozen=True, slots=True)
class Image:
    """An image by its role. ``upstream`` is the official reference; empty for images of our own."""

    role: str
    upstream: str = ""


SPIRE_CONTROLLER_MANAGER: Final = "spire-controller-manager"

_ALL = (
    Image(names.CONTROLLER),
    Image(names.SIDECAR),
    Image(names.INIT),
    Image(names.CERT_RELOADER),
    Image(names.SPIRE_SERVER, "ghcr.io/spiffe/spire-server:1.13.3"),
    Image(names.SPIRE_AGENT, "ghcr.io/spiffe/spire-agent:1.13.3"),
    Image(SPIRE_CONTROLLER_MANAGER, "ghcr.io/spiffe/spire-controller-manager:0.6.2"),
    Image(names.NATS_SERVER, "docker.io/library/nats:2.15.1-alpine"),
)
ROLES: Final[Mapping[str, Image]] = {image.role: image for image in _ALL}


@dataclass(frozen=True, slots=True)
class Source:
    """Where a stack takes its images from; ``overrides`` are references by role."""

    server: str
    tag: str
    disable_public_images: bool
    overrides: Mapping[str, str]


def reference(role: str, source: Source) -> str:
    """The reference of the image that plays *role*."""
    if role in source.overrides:
        return source.overrides[role]
    upstream = ROLES[role].upstream
    if not upstream:
        return f"{source.server}/{role}:{source.tag}"
    if source.disable_public_images:
        return f"{source.server}/{upstream.rsplit('/', 1)[-1]}"
    return upstream
