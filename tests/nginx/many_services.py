"""A large mesh in a sidecar's configuration, and what the sidecar's processes hold of it."""

import re
from dataclasses import replace
from pathlib import Path

from mesh.model.sidecar_config import Endpoint, PodAddress, Protocol, ServicePort, SidecarConfig
from tests.nginx.sanitized import SANITIZED

ENDPOINTS = 5
_DIRTY = re.compile(r"^Private_Dirty:\s+(\d+) kB$", re.MULTILINE)


def with_services(config: SidecarConfig, count: int, first_pod: int) -> SidecarConfig:
    """*config* and *count* Services of five injected pods each, named and addressed from *first_pod* on."""
    services: list[ServicePort] = []
    pods: list[PodAddress] = []
    for number in range(count):
        namespace, name = f"shop-{number % 10}", f"service-{number:03d}"
        identity = f"spiffe://example.org/ns/{namespace}/sa/{name}"
        rows = tuple(
            Endpoint(f"10.1.{number}.{pod}", 8080, identity, f"{namespace}/{name}-7d9c5b6f4d-{pod:05d}")
            for pod in range(first_pod, first_pod + ENDPOINTS)
        )
        address = f"10.96.0.{number}"
        services.append(ServicePort(namespace, name, 80, Protocol.HTTP, "least_time", (address,), rows))
        pods += [PodAddress(row.address, identity, ((8080, Protocol.HTTP),), row.pod) for row in rows]
    return replace(
        config, services=tuple(sorted([*config.services, *services])), pods=tuple(sorted([*config.pods, *pods]))
    )


def private_mib(*pids: int) -> float:
    """Memory that these processes have written to and share with nobody; nothing where sanitizers keep freed memory."""
    if SANITIZED:
        return 0
    return sum(int(_DIRTY.findall(Path(f"/proc/{pid}/smaps_rollup").read_text())[0]) for pid in pids) / 1024
