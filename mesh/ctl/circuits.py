"""Which circuits of a sidecar are open, as its metrics say."""

import re
from typing import Final

from mesh.api import names
from mesh.ctl.cluster import ClusterError, Reader, core

_OPEN: Final = re.compile(r'^nginx_mesh_circuit_open\{[^}]*policy="([^"]*)"[^}]*\} 1$', re.MULTILINE)


def opened_at(reader: Reader, pod: str) -> frozenset[str] | None:
    """Policies of the open circuits of *pod* (``namespace/name``); None when its sidecar does not answer."""
    namespace, _, name = pod.partition("/")
    try:
        text = reader.get(core("pods", namespace, f"{name}:{names.PORT_METRICS}") + "/proxy/metrics")
    except ClusterError:
        return None
    return frozenset(_OPEN.findall(str(text)))
