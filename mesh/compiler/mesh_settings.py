"""The global settings as the compiler needs them, from where they are kept (contract 6.settings)."""

from collections.abc import Mapping
from typing import Any

from mesh.api import quantities
from mesh.api.mesh_config import MeshConfigSpec
from mesh.model.mode_change import ModeChange
from mesh.model.sidecar_config import SERVER_FIRST_MS
from mesh.model.snapshot import MeshSettings
from mesh.model.transparency import Phase


def mesh_settings(
    installation: Mapping[str, Any], spec: MeshConfigSpec, phase: Phase, mode_change: ModeChange | None
) -> MeshSettings:
    """Bring together the fixed part of ``meshconfig.json``, the MeshConfig, and what its status tells.

    *mode_change* is None where the status says nothing: then the mode is in force.
    """
    return MeshSettings(
        trust_domain=str(installation["mtls"]["trustDomain"]),
        mtls_mode=spec.mtls.mode,
        client_max_body_size=quantities.parse_body_size("spec.clientMaxBodySize", spec.client_max_body_size),
        error_log_level=spec.nginx_error_log_level,
        log_format=spec.nginx_log_format,
        lb_method=spec.nginx_lb_method,
        access_control_mode=spec.access_control_mode,
        app_protocol=installation.get("appProtocol") is not False,
        server_first_ms=int(installation.get("serverFirstMilliseconds", SERVER_FIRST_MS)),
        transparent=phase is Phase.TRANSPARENT,
        opening=phase is Phase.OPENING,
        mode_change=mode_change,
    )
