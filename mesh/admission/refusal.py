"""What makes a pod impossible to inject, every reason at once (contract 5.refused)."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mesh.api import names
from mesh.api.errors import Problem, quote
from mesh.api.mtls import MtlsMode

_OUT_OF_THE_MESH: Final = f"or keep the pod out with label {names.LABEL_AUTO_INJECT}: {names.AUTO_INJECT_DISABLED}"
_SIDECAR_TCP_PORTS: Final = frozenset((*range(8886, 8897), *range(8900, 8908)))
_SIDECAR_UDP_PORTS: Final = frozenset((8908, 8909))


def containers_of(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every container that lives beside the application: containers and native sidecars."""
    yield from (item for item in spec.get("initContainers") or [] if item.get("restartPolicy") == "Always")
    yield from spec.get("containers") or []


def find_problems(spec: Mapping[str, Any], mode: MtlsMode | None, global_mode: MtlsMode) -> Iterator[Problem]:
    """Say what is wrong with a pod's spec and with the mode *mode* that its annotation asks for."""
    yield from find_missing_containers(spec)
    yield from _port_problems(spec)
    yield from _user_problems(spec)
    if spec.get("hostNetwork"):
        remedy = f"leave the node's network, {_OUT_OF_THE_MESH}"
        yield Problem("spec.hostNetwork", "true", "false: the mesh cannot redirect the traffic of a node", remedy)
    if global_mode is MtlsMode.STRICT and mode is not None and mode.is_weaker_than(global_mode):
        place = f"annotation {names.ANNOTATION_MTLS_MODE}"
        yield Problem(place, quote(str(mode)), f"{global_mode}, as the mesh demands", "remove the annotation")


def find_missing_containers(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Say that a pod's spec has no container, if so."""
    if not spec.get("containers"):
        yield Problem("spec.containers", quote("nothing"), "at least one container")


def _port_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    seen: Counter[tuple[int, str]] = Counter()
    for container in containers_of(spec):
        place = f"container {container.get('name')}, ports"
        for row in container.get("ports") or []:
            number, protocol = row.get("containerPort"), str(row.get("protocol") or "TCP")
            seen[number, protocol] += 1
            if protocol == "SCTP":
                yield Problem(place, f"{number}/SCTP", "TCP and UDP", f"declare no SCTP port, {_OUT_OF_THE_MESH}")
            if number in (_SIDECAR_UDP_PORTS if protocol == "UDP" else _SIDECAR_TCP_PORTS):
                taken = "ports outside 8886-8896 and 8900-8909, which the sidecar uses"
                yield Problem(place, f"{number}/{protocol}", taken, f"move the application's port, {_OUT_OF_THE_MESH}")
    for (number, protocol), count in seen.items():
        if count > 1:
            yield Problem(
                "container ports", f"{number}/{protocol} {count} times", "each port and protocol once per pod"
            )


def _user_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    takes = f"any user but {names.MESH_UID}, whose traffic goes past the sidecar"
    holders = [("spec", spec), *((f"container {item.get('name')}", item) for item in containers_of(spec))]
    for place, holder in holders:
        if (holder.get("securityContext") or {}).get("runAsUser") == names.MESH_UID:
            yield Problem(f"{place}, securityContext.runAsUser", str(names.MESH_UID), takes)
