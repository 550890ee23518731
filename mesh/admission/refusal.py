"""What makes a pod impossible to inject, every reason at once (contract 5.refused)."""

import copy
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final

from mesh.admission.containers import sidecar_volumes
from mesh.admission.probes import redirect_probes
from mesh.api import names
from mesh.api.errors import InvalidInputError, Problem, quote
from mesh.api.mtls import MtlsMode
from mesh.model.annotations import mtls_mode

_KEEP_OUT: Final = f"keep the pod out with label {names.LABEL_AUTO_INJECT}: {names.AUTO_INJECT_DISABLED}"
_OUT_OF_THE_MESH: Final = f"or {_KEEP_OUT}"
_SYSTEM, _SYSTEM_LABEL = "linux", "kubernetes.io/os"
_SIDECAR_TCP_PORTS: Final = frozenset((*range(8886, 8897), *range(8900, 8908)))
_SIDECAR_UDP_PORTS: Final = frozenset((8908, 8909))


def containers_of(spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every container that lives beside the application: containers and native sidecars."""
    yield from (item for item in spec.get("initContainers") or [] if item.get("restartPolicy") == "Always")
    yield from spec.get("containers") or []


def find_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Say what is wrong with a pod's spec."""
    yield from find_missing_containers(spec)
    yield from find_unfit_ports(spec)
    yield from _taken_port_problems(spec)
    yield from _probe_problems(spec)
    yield from _user_problems(spec)
    yield from _node_problems(spec)
    yield from _volume_problems(spec)


def find_weaker_mode(annotations: Mapping[str, str], global_mode: MtlsMode) -> Iterator[Problem]:
    """Say that a pod's annotation asks for less than a strict mesh demands, if so."""
    place = f"annotation {names.ANNOTATION_MTLS_MODE}"
    try:
        mode = mtls_mode(annotations)
    except InvalidInputError:  # told where annotations are read
        return
    if global_mode is MtlsMode.STRICT and mode is not None and mode.is_weaker_than(global_mode):
        yield Problem(place, quote(str(mode)), f"{global_mode}, as the mesh demands", "remove the annotation")


def find_missing_containers(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Say that a pod's spec has no container, if so."""
    if not spec.get("containers"):
        yield Problem("spec.containers", quote("nothing"), "at least one container")


def find_unfit_ports(spec: Mapping[str, Any]) -> Iterator[Problem]:
    """Say which declared ports keep a pod out of the mesh: SCTP, and one twice."""
    seen: Counter[tuple[int, str]] = Counter()
    for place, number, protocol in _declared_ports(spec):
        seen[number, protocol] += 1
        if protocol == "SCTP":
            yield Problem(place, f"{number}/SCTP", "TCP and UDP", f"declare no SCTP port, {_OUT_OF_THE_MESH}")
    for (number, protocol), count in seen.items():
        if count > 1:
            yield Problem(
                "container ports", f"{number}/{protocol} {count} times", "each port and protocol once per pod"
            )


def _taken_port_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    for place, number, protocol in _declared_ports(spec):
        if number in (_SIDECAR_UDP_PORTS if protocol == "UDP" else _SIDECAR_TCP_PORTS):
            taken = "ports outside 8886-8896 and 8900-8909, which the sidecar uses"
            yield Problem(place, f"{number}/{protocol}", taken, f"move the application's port, {_OUT_OF_THE_MESH}")


def _declared_ports(spec: Mapping[str, Any]) -> Iterator[tuple[str, int, str]]:
    """Where each port of a container is declared, its number and its protocol."""
    for container in containers_of(spec):
        for row in container.get("ports") or []:
            yield (
                f"container {container.get('name')}, ports",
                row.get("containerPort"),
                str(row.get("protocol") or "TCP"),
            )


def _probe_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    for container in containers_of(spec):
        try:
            list(redirect_probes(copy.deepcopy(container)))
        except InvalidInputError as error:
            yield from error.problems


def _user_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    takes = f"any user but {names.MESH_UID}, whose traffic goes past the sidecar"
    everybody = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    holders = [("spec", spec), *((f"container {item.get('name')}", item) for item in everybody)]
    for place, holder in holders:
        if (holder.get("securityContext") or {}).get("runAsUser") == names.MESH_UID:
            yield Problem(f"{place}, securityContext.runAsUser", str(names.MESH_UID), takes)


def _node_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    if spec.get("hostNetwork"):
        remedy = f"leave the node's network, {_OUT_OF_THE_MESH}"
        yield Problem("spec.hostNetwork", "true", "false: the mesh cannot redirect the traffic of a node", remedy)
    if spec.get("dnsPolicy") == "Default":
        takes = "the cluster's DNS, by which the sidecar finds the bus"
        yield Problem("spec.dnsPolicy", quote("Default"), takes, f"use ClusterFirst, {_OUT_OF_THE_MESH}")
    systems = {
        "spec.os.name": (spec.get("os") or {}).get("name"),
        f"spec.nodeSelector.{_SYSTEM_LABEL}": (spec.get("nodeSelector") or {}).get(_SYSTEM_LABEL),
    }
    for place, system in systems.items():
        if system and system != _SYSTEM:
            yield Problem(place, quote(system), f"{_SYSTEM}, where alone the sidecar runs", _KEEP_OUT)


def _volume_problems(spec: Mapping[str, Any]) -> Iterator[Problem]:
    ours = {volume["name"]: volume for volume in sidecar_volumes()}
    for volume in spec.get("volumes") or []:
        name = volume.get("name")
        if name in ours and volume != ours[name]:
            yield Problem(f"spec.volumes, {name}", "another volume of that name", "the sidecar's own", "rename it")
