"""Which images exist and what goes into each. An image holds what its process imports, and nothing else (design 5)."""

from dataclasses import dataclass
from typing import Final

BASE: Final = "nginx-mesh-base"


@dataclass(frozen=True, slots=True)
class Image:
    """One image.

    ``name`` is the repository name and the role; ``folder`` holds the Containerfile. ``processes`` are Python modules whose
    import closure is copied to ``app``; ``requirements`` is a hash-locked list installed to ``packages``; ``trees``
    are folders of the checkout copied under their own path; ``tools`` are locked binaries copied to ``bin``.
    ``needs_base`` is false for images that start from nothing.
    """

    name: str
    folder: str
    title: str
    processes: tuple[str, ...] = ()
    requirements: str = ""
    trees: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    needs_base: bool = True


IMAGES: Final = (
    Image(
        "nginx-mesh-controller",
        "controller",
        "controller: compiles and publishes configuration, serves the webhooks",
        processes=("mesh.controller",),
        requirements="controller",
    ),
    Image(
        "nginx-mesh-sidecar",
        "sidecar",
        "sidecar: the agent and NGINX with the mesh module",
        processes=("mesh.sidecar", "mesh.sidecar.wait"),
        requirements="sidecar",
        trees=("dataplane/nginx", "dataplane/pid1"),
    ),
    Image("nginx-mesh-init", "init", "init: redirects a pod's traffic to its sidecar", processes=("mesh.init",)),
    Image(
        "nginx-mesh-cert-reloader",
        "cert-reloader",
        "cert-reloader: writes the bus's certificates and signals each rotation",
        processes=("mesh.cert_reloader",),
        requirements="cert_reloader",
    ),
    Image(
        "mesh-sample",
        "sample",
        "sample: an echo server and a client of HTTP, gRPC and TCP",
        processes=("samples.app",),
        requirements="sample",
    ),
    Image("spire-server", "spire-server", "SPIRE server", tools=("spire-server",), needs_base=False),
    Image("spire-agent", "spire-agent", "SPIRE agent", tools=("spire-agent",), needs_base=False),
    Image(
        "spire-controller-manager",
        "spire-controller-manager",
        "SPIRE Controller Manager",
        tools=("spire-controller-manager",),
        needs_base=False,
    ),
    Image("nats-server", "nats-server", "NATS server", tools=("nats-server",), needs_base=False),
)


def named(names: tuple[str, ...]) -> tuple[Image, ...]:
    """Return the images called *names* in the catalogue's order, all of them for no name.

    Raises KeyError that lists the unknown ones.
    """
    known = {image.name for image in IMAGES}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"no image named {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return tuple(image for image in IMAGES if not names or image.name in names)
