"""Which settings of the MeshConfig are in force, as a condition of its status (contract 6.in-force). Pure.

Most take effect with the next document of every sidecar. The SPIRE server reads the lives and key type of its authority
when it starts, and uses them from the next rotation of its CA on; what nothing reads yet is said to be so.
"""

import re
from typing import Final

from mesh.api import quantities
from mesh.api.errors import InvalidInputError
from mesh.api.mesh_config import CONDITION_MODE, MeshConfigSpec
from mesh.model.mode_change import ModeChange

CONDITION: Final = "InForce"
SERVER_CONF: Final = "server.conf"
_SETTING: Final = re.compile(r'^\s*(ca_ttl|ca_key_type)\s*=\s*"([^"]*)"', re.MULTILINE)


def judge(spec: MeshConfigSpec, server_conf: str | None, mode: ModeChange) -> tuple[bool, str, str]:
    """Whether all settings are in force, a reason, and a message; *server_conf* is the SPIRE server's, None unknown."""
    waiting = [*_mode(mode), *_authority(spec, server_conf), *_unread(spec)]
    if not waiting:
        return True, "AllInForce", "every setting is in force"
    return False, "SomeNotInForce", "since the time of this condition: " + "; ".join(waiting)


def _mode(mode: ModeChange) -> list[str]:
    return (
        []
        if mode.is_settled
        else [f"mtls.mode {mode.after} is reached in steps; condition {CONDITION_MODE} tells them"]
    )


def _authority(spec: MeshConfigSpec, server_conf: str | None) -> list[str]:
    if server_conf is None:
        return []
    used = dict(_SETTING.findall(server_conf))
    found = []
    if "ca_ttl" in used and not _is_same_time(used["ca_ttl"], spec.mtls.ca_ttl):
        found.append(_from_next_rotation("caTTL", spec.mtls.ca_ttl, used["ca_ttl"]))
    if used.get("ca_key_type", spec.mtls.ca_key_type.value) != spec.mtls.ca_key_type.value:
        found.append(_from_next_rotation("caKeyType", spec.mtls.ca_key_type.value, used["ca_key_type"]))
    return found


def _from_next_rotation(key: str, wanted: str, used: str) -> str:
    return (
        f"mtls.{key} {wanted} waits: the SPIRE server runs with {used}; set it in the stack, too, and it counts from the "
        "next rotation of the CA after `pulumi up`"
    )


def _unread(spec: MeshConfigSpec) -> list[str]:
    found = []
    if spec.telemetry.exporters is not None:
        found.append("telemetry has no effect: this version sends no spans")
    if spec.prometheus_address:
        found.append("prometheusAddress has no effect: this version has no metrics API")
    return found


def _is_same_time(one: str, other: str) -> bool:
    try:
        return quantities.parse_duration("", one) == quantities.parse_duration("", other)
    except InvalidInputError:
        return one == other
